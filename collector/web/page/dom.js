// Makes and changes elements. All texts are set as text nodes, so that no text from a vendor is executed.

export function svg(tag, attributes = {}) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  return element;
}

export function html(tag, className = "", ...children) {
  const element = document.createElement(tag);
  element.className = className;
  element.append(...children);
  return element;
}

/** Set a text if it differs: an unchanged text stays selected, and screen readers do not announce it again. */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** Make the children of the parent one element for each text. */
export function fill(parent, texts, tag) {
  while (parent.children.length > texts.length) parent.lastElementChild.remove();
  texts.forEach((text, index) => setText(parent.children[index] ?? parent.appendChild(html(tag)), text));
}

/** Make these elements the children of the list, in this order. Moves only what it must: a moved element loses focus. */
export function arrange(list, elements) {
  const wanted = new Set(elements);
  for (const child of [...list.children]) if (!wanted.has(child)) child.remove();
  elements.forEach((element, index) => {
    if (list.children[index] !== element) list.insertBefore(element, list.children[index] ?? null);
  });
}

/** The name, which may be broken after its separators and nowhere else, unless a part of it is longer than a line. */
export function breakable(name) {
  return name.split(/(?<=[_@/~.:-])/).flatMap((part, index) => (index ? [document.createElement("wbr"), part] : [part]));
}

/** A bar that is filled to a share, from 0 to 1. */
export class ShareBar {
  constructor() {
    this.filled = html("div");
    this.element = html("div", "share", this.filled);
    for (const [name, value] of [["role", "progressbar"], ["aria-valuemin", "0"], ["aria-valuemax", "100"]]) {
      this.element.setAttribute(name, value);
    }
  }

  show(label, share) {
    const percent = Math.floor(100 * Math.min(1, Math.max(0, share)));
    this.element.setAttribute("aria-label", label);
    this.element.setAttribute("aria-valuenow", percent);
    this.filled.style.width = `${percent}%`;
  }
}
