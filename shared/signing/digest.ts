import { createHmac, hash, timingSafeEqual } from 'node:crypto';
import type { Secret } from './secret.ts';

// Digests are taken as hex and read back: a Buffer of node:crypto's own making costs more than the digest itself.
export function sha1(text: string): Uint8Array {
  return Buffer.from(hash('sha1', text, 'hex'), 'hex');
}

export function md5(text: string): Uint8Array {
  return Buffer.from(hash('md5', text, 'hex'), 'hex');
}

/**
 * The key is a text, or the bytes that a hex text stands for. Never a Buffer: Node 24 tries whether it is a KeyObject
 * by catching what that throws, which costs five digests.
 */
export function hmacSha1(
  key: string,
  text: string | Uint8Array,
  encoding: 'utf8' | 'hex' = 'utf8',
): Uint8Array {
  return Buffer.from(createHmac('sha1', key, { encoding }).update(text).digest('hex'), 'hex');
}

export function toBase64(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('base64');
}

export function toHex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}

/**
 * Decodes standard Base64 with padding; null for any other spelling of the bytes: URL alphabet, whitespace, missing
 * padding, unused bits that aren't zero. So one value has one spelling, and a changed bit never goes unseen.
 * Source: RFC 4648, sections 3.5 and 4.
 */
export function fromCanonicalBase64(text: string): Uint8Array | null {
  if (text.length === 0 || text.length % 4 !== 0 || text.length > base64CharsMax) return null;
  const bytes = Buffer.from(text, 'base64');
  return bytes.toString('base64') === text ? bytes : null;
}

/** Longer than any signature of these schemes (RSA 4096 needs 684), short enough to be free. */
const base64CharsMax = 1024;

/** True when two digests are the same bytes. Takes the same time wherever they differ. */
export function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && timingSafeEqual(a, b);
}

/** A text that a scheme may have hashed. */
export interface Candidate {
  readonly variant: string;
  /** What is hashed, without the secret. */
  readonly text: string;
}

export interface Match<C extends Candidate> {
  readonly candidate: C;
  readonly keyIndex: number;
}

/**
 * The first candidate whose digest equals the received one. Variants that come to the same text are hashed once,
 * and every text is tried with every live key. The digest may be a different one per variant.
 */
export function findMatch<C extends Candidate>(
  candidates: Iterable<C>,
  secrets: readonly Secret[],
  isMatch: (candidate: C, secret: Secret) => boolean,
): Match<C> | null {
  // A list: nearly always the first text matches, and there are at most a few dozen.
  const tried: string[] = [];
  for (const candidate of candidates) {
    if (tried.includes(candidate.text)) continue;
    const keyIndex = secrets.findIndex((secret) => isMatch(candidate, secret));
    if (keyIndex >= 0) return { candidate, keyIndex };
    tried.push(candidate.text);
  }
  return null;
}
