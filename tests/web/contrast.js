// Of every text, and of every mark that says something, whether it stands out from what is behind it: WCAG 2.2, 1.4.3
// and 1.4.11.
() => {
  const parse = (text) => (text.match(/[\d.]+/g) ?? [0, 0, 0, 0]).map(Number);
  const light = (part) => (part /= 255) <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
  const luminance = ([r, g, b]) => 0.2126 * light(r) + 0.7152 * light(g) + 0.0722 * light(b);
  const behind = (element) => {
    for (let each = element; each; each = each.parentElement) {
      const colour = parse(getComputedStyle(each).backgroundColor);
      if (colour.length === 3 || colour[3] === 1) return colour;
      if (colour[3] > 0) throw new Error("translucent behind a text");
    }
    return [255, 255, 255];
  };
  const ratio = (one, other) => {
    const [high, low] = [luminance(one), luminance(other)].sort((a, b) => b - a);
    return (high + 0.05) / (low + 0.05);
  };
  const found = [];
  let looked = 0;
  const judge = (element, colour, what, least) => {
    const contrast = ratio(parse(colour), behind(element));
    looked += 1;
    if (contrast < least) found.push(`${contrast.toFixed(2)}: ${what}`);
  };
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let text = walk.nextNode(); text; text = walk.nextNode()) {
    const element = text.parentElement;
    const shown = element.checkVisibility({ visibilityProperty: true }) && !element.closest("noscript");
    if (shown && text.data.trim()) judge(element, getComputedStyle(element).color, text.data, 4.5);
  }
  for (const each of document.querySelectorAll("[class^=rail-], .sample")) {
    judge(each, getComputedStyle(each).borderTopColor, each.className, 3);
  }
  for (const each of document.querySelectorAll("path[class^=bar-], .spark path, .mark")) {
    if (each.checkVisibility()) judge(each.parentElement, getComputedStyle(each).fill, each.getAttribute("class"), 3);
  }
  return { found, looked };
}
