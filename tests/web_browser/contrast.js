// Text whose contrast against what is behind it is below WCAG 2.2 AA, as "ratio text". Colours are mixed as the browser
// mixes them: backgrounds of all ancestors, one over the other, and their opacity.
const parse = (color) => {
  const numbers = color.match(/[\d.]+/g).map(Number);
  return { rgb: numbers.slice(0, 3), alpha: numbers[3] ?? 1 };
};
const over = (top, alpha, below) => top.map((value, n) => value * alpha + below[n] * (1 - alpha));
const light = (rgb) => {
  const [r, g, b] = rgb.map((value) => value / 255).map((value) => (value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
const ratio = (a, b) => {
  const [high, low] = [light(a), light(b)].sort((x, y) => y - x);
  return (high + 0.05) / (low + 0.05);
};
const ancestors = (element) => (element ? [...ancestors(element.parentElement), element] : []);
const canvas = matchMedia("(prefers-color-scheme: dark)").matches ? [18, 18, 18] : [255, 255, 255];

const weak = [];
const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
while (walker.nextNode()) {
  const text = walker.currentNode.data.trim();
  const element = walker.currentNode.parentElement;
  if (!text || !element.checkVisibility({ visibilityProperty: true }) || element.closest("script, style, noscript, option, .sr, :disabled")) continue;
  if (document.querySelector("dialog[open]") && !element.closest("dialog")) continue;
  const style = getComputedStyle(element);
  let behind = canvas;
  let opacity = 1;
  for (const node of ancestors(element)) {
    const computed = getComputedStyle(node);
    const { rgb, alpha } = parse(computed.backgroundColor);
    opacity *= Number(computed.opacity);
    behind = over(rgb, alpha * opacity, behind);
  }
  // What shows itself when the pointer or the focus is there.
  if (opacity === 0) continue;
  const color = parse(element instanceof SVGElement ? style.fill : style.color);
  const size = parseFloat(style.fontSize);
  const needed = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700) ? 3 : 4.5;
  const found = ratio(over(color.rgb, color.alpha * opacity, behind), behind);
  if (found < needed) weak.push(`${found.toFixed(2)} ${element.tagName}.${element.className}: ${text.slice(0, 40)}`);
}
return [...new Set(weak)];
