import { createHash } from 'node:crypto';

/** EIOTCLUB's signing rule in a few lines of the test's own, from protocols/eiotclub.md, section 1.3. */
export function signByHand(pairs: Readonly<Record<string, string | number>>, secret: string): string {
  const text = Object.keys(pairs)
    .filter((name) => name !== 'sign')
    .sort()
    .map((name) => `${name}=${pairs[name]}`)
    .join('&');
  return createHash('sha1').update(`${text}&secret=${secret}`, 'utf8').digest('hex').toUpperCase();
}
