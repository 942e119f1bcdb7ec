/** Eighths of a character cell, for bars that are exact to an eighth. */
const eighths = ['', '▏', '▎', '▍', '▌', '▋', '▊', '▉'];

/** A bar of `width` cells for a share of 0 to 1; the rest stays empty. A share above 0 always shows. */
export function bar(share: number, width: number): string {
  const cells = Math.max(0, Math.min(1, share)) * width;
  const units = share > 0 ? Math.max(1, Math.round(cells * 8)) : 0;
  const text = '█'.repeat(Math.floor(units / 8)) + (eighths[units % 8] ?? '');
  return text.padEnd(width);
}

/** `0 %`, `74 %`, `<1 %`. */
export function percent(share: number): string {
  if (share > 0 && share < 0.01) return '<1 %';
  return `${Math.round(share * 100)} %`;
}
