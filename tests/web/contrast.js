// The texts and icons without enough contrast to their background, by WCAG 2.2, 1.4.3 and 1.4.11.
() => {
  const parse = (text) => (text.match(/[\d.]+/g) ?? [0, 0, 0, 0]).map(Number);
  const linear = (part) => (part /= 255) <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
  const luminance = ([r, g, b]) => 0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b);
  const background = (element) => {
    for (let each = element; each; each = each.parentElement) {
      const colour = parse(getComputedStyle(each).backgroundColor);
      if (colour.length === 3 || colour[3] === 1) return colour;
      if (colour[3] > 0) throw new Error("translucent background behind a text");
    }
    return [255, 255, 255];
  };
  const ratio = (one, other) => {
    const [high, low] = [luminance(one), luminance(other)].sort((a, b) => b - a);
    return (high + 0.05) / (low + 0.05);
  };
  const failures = [];
  let count = 0;
  const check = (element, colour, name, min) => {
    const contrast = ratio(parse(colour), background(element));
    count += 1;
    if (contrast < min) failures.push(`${contrast.toFixed(2)}: ${name}`);
  };
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let text = walk.nextNode(); text; text = walk.nextNode()) {
    const element = text.parentElement;
    const shown = element.checkVisibility({ visibilityProperty: true }) && !element.closest("noscript");
    if (shown && text.data.trim()) check(element, getComputedStyle(element).color, text.data, 4.5);
  }
  for (const each of document.querySelectorAll("[class^=rail-], .sample")) {
    check(each, getComputedStyle(each).borderTopColor, each.className, 3);
  }
  for (const each of document.querySelectorAll("path[class^=bar-], .sparkline path, .mark")) {
    if (each.checkVisibility()) check(each.parentElement, getComputedStyle(each).fill, each.getAttribute("class"), 3);
  }
  return { failures, count };
}
