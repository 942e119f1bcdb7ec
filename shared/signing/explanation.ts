import { hash } from 'node:crypto';
import { hmacSha1, md5, sameBytes, sha1, toHex } from './digest.ts';
import type { Pair } from './key-value-text.ts';
import type { Secret } from './secret.ts';
import type { VariantOptions, Verification } from './verification.ts';

/** What a callback's signature came to and, where it failed, why that is likely. Holds no secret. */
export interface Explanation {
  readonly verdict: Verification;
  /** Every text that a known variant hashes for this callback, each once. */
  readonly tried: readonly TriedText[];
  /** One sentence: the reading that does match, or the fault that fits best. */
  readonly likelyCause: string;
  /** What to do or to look at, the most useful first. */
  readonly hints: readonly string[];
}

export interface TriedText {
  readonly variant: string;
  /** Further variants that come to the same text. */
  readonly alsoVariants: readonly string[];
  /** What was hashed, with the secret replaced by `<secret>`. */
  readonly text: string;
  /** Lower-case hex, only when it equals what was received; any other digest could serve to guess the secret. */
  readonly digest: string | null;
}

export interface ExplainOptions extends VariantOptions {
  /** The present, to judge whether the signed time is in the wrong unit; absent: not judged. */
  readonly nowMs?: number;
}

/** One way in which a sender may have come to the signature. */
export interface Trial {
  /** A sentence for the reader, true if this trial matches. */
  readonly cause: string;
  readonly text: string;
  /** The digest; the scheme's own when absent. Null where the key can't be used so. */
  readonly compute?: Compute;
}

export type Compute = (text: string, secret: string) => Uint8Array | null;

/** One way to decode the received signature. `how` is null for the form that the scheme asks for. */
export interface Received {
  readonly how: string | null;
  readonly bytes: Uint8Array;
}

export interface Hit {
  readonly cause: string;
  readonly keyIndex: number;
}

/** Characters hashed at most, so that a large hostile body can't hold the tool up: about half a second. */
const hashedCharsMax = 100_000_000;

/** The first trial that gives the received digest in any decoding, under any live key. */
export function firstHit(
  trials: Iterable<Trial>,
  secrets: readonly Secret[],
  received: readonly Received[],
  compute: Compute,
): Hit | null {
  let budget = hashedCharsMax;
  for (const trial of trials) {
    for (const [keyIndex, secret] of secrets.entries()) {
      budget -= trial.text.length;
      if (budget < 0) return null;
      const digest = (trial.compute ?? compute)(trial.text, secret.reveal());
      const form = digest === null ? undefined : received.find(({ bytes }) => sameBytes(bytes, digest));
      if (form === undefined) continue;
      return { cause: form.how === null ? trial.cause : `${trial.cause}; ${form.how}`, keyIndex };
    }
  }
  return null;
}

/**
 * Decodes a signature in every form that senders mix up. `expected` is what the scheme asks for.
 * Nothing here accepts a signature: it only finds out what a refused one is.
 */
export function decodeLoosely(signature: string, expected: 'hex' | 'base64'): readonly Received[] {
  const trimmed = signature.trim();
  const note = trimmed === signature ? '' : ', with whitespace around it';
  const forms: Received[] = [];
  const add = (name: 'hex' | 'base64' | 'other', how: string, bytes: Uint8Array): void => {
    const asAsked = name === expected && note === '';
    forms.push({ how: asAsked ? null : `the signature was sent as ${how}${note}`, bytes });
  };
  if (/^(?:[0-9a-f]{2})+$/.test(trimmed)) add('hex', 'hex', Buffer.from(trimmed, 'hex'));
  else if (/^(?:[0-9A-Fa-f]{2})+$/.test(trimmed)) {
    add(expected === 'hex' ? 'other' : 'hex', 'hex with capitals', Buffer.from(trimmed, 'hex'));
  }
  if (/^[A-Za-z0-9+/_-]{16,}={0,2}$/.test(trimmed)) {
    const bytes = Buffer.from(trimmed, 'base64');
    const canonical = bytes.toString('base64') === trimmed;
    add(
      canonical ? 'base64' : 'other',
      canonical ? 'Base64' : 'Base64 in another alphabet or padding',
      bytes,
    );
    const inner = bytes.toString('latin1');
    if (/^(?:[0-9A-Fa-f]{2})+$/.test(inner))
      add('other', 'Base64 of the hex text', Buffer.from(inner, 'hex'));
  }
  return forms;
}

/** The cause when a known variant gives the received digest and the callback is refused all the same. */
export function variantCause(variant: string, accepted: readonly string[] | null): string {
  if (accepted === null || accepted.includes(variant)) return `the text is right (variant ${variant})`;
  return `it matches the variant ${variant}, which the configuration does not accept: pin that one instead`;
}

/** Other algorithms that senders use over the same text. `suffix` is what stands between text and secret. */
export function otherAlgorithms(text: string, suffix: string): readonly Trial[] {
  const plain = `the text without any secret was hashed, which is a checksum that anyone can make`;
  const sha256 = (value: string): Uint8Array => hash('sha256', value, 'buffer');
  return [
    { cause: `HMAC-SHA1 with the secret as its key was used`, text, compute: (t, s) => hmacSha1(s, t) },
    { cause: `SHA-1 was used`, text, compute: (t, s) => sha1(t + suffix + s) },
    { cause: `MD5 was used`, text, compute: (t, s) => md5(t + suffix + s) },
    { cause: `SHA-256 was used`, text, compute: (t, s) => sha256(t + suffix + s) },
    { cause: `the secret was appended without "${suffix}" in front`, text, compute: (t, s) => sha1(t + s) },
    {
      cause: `the secret was appended without "${suffix}" in front, with MD5`,
      text,
      compute: (t, s) => md5(t + s),
    },
    { cause: `the secret was put in front of the text`, text, compute: (t, s) => sha1(s + t) },
    { cause: `the secret was put in front of the text, with MD5`, text, compute: (t, s) => md5(s + t) },
    { cause: `${plain} (SHA-1)`, text, compute: (t) => sha1(t) },
    { cause: `${plain} (MD5)`, text, compute: (t) => md5(t) },
  ];
}

/** The same text under secrets that were copied with a slip. */
export function otherSecrets(text: string, compute: Compute): readonly Trial[] {
  const forms: readonly (readonly [string, (secret: string) => string])[] = [
    ['our secret has whitespace around it that the sender does not use: store it without', (s) => s.trim()],
    ["the sender's secret ends in a newline that ours has not", (s) => `${s}\n`],
    ["the sender's secret ends in a space that ours has not", (s) => `${s} `],
    ['our secret stands in quotes that do not belong to it', (s) => s.replace(/^(["'])(.*)\1$/s, '$2')],
    ['the secret was used in lower case', (s) => s.toLowerCase()],
    ['the secret was used in upper case', (s) => s.toUpperCase()],
  ];
  return forms.map(([cause, change]) => ({
    cause,
    text,
    // A form that changes nothing would only repeat the plain trial.
    compute: (t, s) => (change(s) === s ? null : compute(t, change(s))),
  }));
}

/** Members tried one by one; a body with more has other troubles. */
const singleMembersMax = 200;

/** Other sets, orders and spellings of the pairs. `received` is the order of the body. */
export function* otherPairs(
  sorted: readonly Pair[],
  received: readonly Pair[],
): Generator<readonly [string, readonly Pair[]]> {
  yield ['the members were signed in the order of the body, not sorted', received];
  const folded = sorted.toSorted(([a], [b]) => compareFolded(a, b));
  yield ['the members were sorted without regard to upper and lower case', folded];
  for (const [index, [key]] of sorted.slice(0, singleMembersMax).entries()) {
    yield [
      `the sender did not sign the member ${quoted(key)}: it may have been added on the way`,
      sorted.toSpliced(index, 1),
    ];
  }
  yield [
    'the values were URL-encoded before signing',
    sorted.map(([key, value]) => [key, urlEncoded(value)]),
  ];
  yield ['the values were trimmed before signing', sorted.map(([key, value]) => [key, value.trim()])];
}

function compareFolded(a: string, b: string): number {
  const left = a.toLowerCase();
  const right = b.toLowerCase();
  if (left === right) return 0;
  return left < right ? -1 : 1;
}

function urlEncoded(value: string): string {
  return value.isWellFormed() ? encodeURIComponent(value) : value;
}

/** A member's name for a sentence: short and on one line. */
export function quoted(name: string): string {
  return JSON.stringify(name.length > 60 ? `${name.slice(0, 60)}...` : name);
}

/** Replaces every secret, also as JSON or a URL would spell it, in something that will be shown. */
export function masked(text: string, secrets: readonly Secret[]): string {
  let shown = text;
  for (const secret of secrets) {
    const value = secret.reveal();
    const inJson = JSON.stringify(value).slice(1, -1);
    for (const form of new Set([value, value.trim(), inJson, urlEncoded(value)])) {
      if (form !== '') shown = shown.replaceAll(form, '<secret>');
    }
  }
  return shown;
}

/** Collects texts by content, each once, and marks the one that gives the received digest. */
export function listTried(
  candidates: Iterable<{
    readonly variant: string;
    readonly text: string;
    readonly digest: Uint8Array | null;
  }>,
  show: (text: string) => string,
): readonly TriedText[] {
  const byText = new Map<string, { variant: string; also: string[]; digest: Uint8Array | null }>();
  for (const { variant, text, digest } of candidates) {
    const known = byText.get(text);
    if (known === undefined) byText.set(text, { variant, also: [], digest });
    else known.also.push(variant);
  }
  return [...byText].map(([text, { variant, also, digest }]) => ({
    variant,
    alsoVariants: also,
    text: show(text),
    digest: digest === null ? null : toHex(digest),
  }));
}

/** Explanation of a good signature. */
export function explainGood(
  verdict: Verification & { readonly ok: true },
  tried: readonly TriedText[],
  nowMs: number | undefined,
): Explanation {
  const hints = [`It matches the variant ${verdict.variant}; pin it in the stage's configuration.`];
  if (verdict.keyIndex > 0) {
    hints.push(
      `It was signed with live key number ${verdict.keyIndex + 1}, an older one: the rotation is not over yet.`,
    );
  }
  hints.push(...timeHints(verdict.signedAtMs, nowMs));
  const cause =
    hints.length > 1 && verdict.signedAtMs !== null
      ? 'the signature is good; see the hints for its time'
      : 'the signature is good';
  return {
    verdict,
    tried,
    likelyCause: verdict.keyIndex > 0 ? 'the signature is good, under an older key' : cause,
    hints,
  };
}

const dayMs = 86_400_000;

/** Whether a signed time is far off, and whether another unit would put it right. */
export function timeHints(signedAtMs: number | null, nowMs: number | undefined): readonly string[] {
  if (signedAtMs === null || nowMs === undefined) return [];
  const off = signedAtMs - nowMs;
  if (Math.abs(off) <= dayMs) return [];
  const near = (value: number): boolean => Math.abs(value - nowMs) <= dayMs;
  if (near(signedAtMs / 1000)) return ['The signed time is in milliseconds where the scheme has seconds.'];
  if (near(signedAtMs * 1000)) return ['The signed time is in seconds where the scheme has milliseconds.'];
  const days = Math.round(Math.abs(off) / dayMs);
  return [`The signed time is ${days} day(s) ${off > 0 ? 'ahead of' : 'behind'} our clock.`];
}

/** Replaces the secrets in every sentence and detail of an explanation. */
export function withoutSecrets(explanation: Explanation, secrets: readonly Secret[]): Explanation {
  const { verdict, likelyCause, hints, tried } = explanation;
  return {
    verdict: verdict.ok ? verdict : { ...verdict, detail: masked(verdict.detail, secrets) },
    tried,
    likelyCause: masked(likelyCause, secrets),
    hints: hints.map((hint) => masked(hint, secrets)),
  };
}
