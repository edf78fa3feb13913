// Runs in the page. Its value: text with too little contrast (WCAG AA), text that is cut off or overlaps in a picture.
/* global document, getComputedStyle, SVGElement */
(() => {
  const canvas = document.createElement('canvas').getContext('2d', { willReadFrequently: true });

  const luminance = (color) => {
    canvas.fillStyle = color;
    canvas.fillRect(0, 0, 1, 1);
    const [red, green, blue] = [...canvas.getImageData(0, 0, 1, 1).data].map((byte) => {
      const share = byte / 255;
      return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
  };

  const paper = luminance(getComputedStyle(document.body).backgroundColor);
  const lowContrast = (text) => {
    const style = getComputedStyle(text);
    const ink = luminance(text instanceof SVGElement ? style.fill : style.color);
    return (Math.max(ink, paper) + 0.05) / (Math.min(ink, paper) + 0.05) < 4.5;
  };

  /** Lines of text may touch: a glyph is lower than its line. */
  const overlap = (a, b) => a.right > b.left && b.right > a.left && a.bottom - b.top > 2 && b.bottom - a.top > 2;

  const pictureFaults = (picture) => {
    const frame = picture.getBoundingClientRect();
    const texts = [...picture.querySelectorAll('text')].filter((text) => getComputedStyle(text).opacity !== '0');
    const boxes = texts.map((text) => ({ name: text.textContent, box: text.getBoundingClientRect() }));
    return boxes.flatMap(({ name, box }, i) => [
      ...(box.left < frame.left - 1 || box.right > frame.right + 1 ? [`cut: ${name}`] : []),
      ...boxes.slice(i + 1).flatMap((other) => (overlap(box, other.box) ? [`overlap: ${name} and ${other.name}`] : [])),
    ]);
  };

  const texts = [...document.querySelectorAll('svg text, p, li, td, th, dt, dd, figcaption, h1, h2, h3, small')];
  return [
    ...texts.filter(lowContrast).map((text) => `contrast: ${text.textContent}`),
    ...[...document.querySelectorAll('svg')].flatMap(pictureFaults),
  ];
})();
