import { sha1 } from './digest.ts';
import {
  eiotclubCallbackVariants,
  eiotclubCandidates,
  eiotclubPairs,
  eiotclubUnsigned,
  verifyEiotclubCallback,
} from './eiotclub.ts';
import {
  type Compute,
  decodeLoosely,
  type ExplainOptions,
  type Explanation,
  explainGood,
  firstHit,
  listTried,
  masked,
  otherAlgorithms,
  otherPairs,
  otherSecrets,
  quoted,
  type Received,
  type Trial,
  type TriedText,
  variantCause,
  withoutSecrets,
} from './explanation.ts';
import { compareBytes, joinPairs, type Pair } from './key-value-text.ts';
import { type RawMember, readMembers, unescapeString } from './raw-json.ts';
import { asciiEscaped, otherSpellings } from './respelled-json.ts';
import type { Secret } from './secret.ts';
import type { Verification } from './verification.ts';

const suffix = '&secret=';
const compute: Compute = (text, secret) => sha1(text + suffix + secret);

/**
 * Says what was hashed for a callback under each variant and, if its signature is refused, tries the usual slips one
 * by one and names the one that gives the received signature. Never throws and never shows a secret.
 * Source: protocols/eiotclub.md, section 2.
 */
export function explainEiotclubCallback(
  body: Uint8Array,
  keys: readonly Secret[],
  options: ExplainOptions,
): Explanation {
  const verdict = verifyEiotclubCallback(body, keys, options);
  const read = readMembers(body);
  if (!read.ok) return withoutSecrets(explainUnread(verdict, body), keys);
  const { members } = read;
  const received = readSign(members);
  const tried = triedTexts(members, received, keys);
  if (verdict.ok) return withoutSecrets(explainGood(verdict, tried, options.nowMs), keys);
  const found = explainRefused(verdict, { members, received, keys, accepted: options.variants });
  return withoutSecrets({ verdict, tried, ...found }, keys);
}

type Findings = Pick<Explanation, 'likelyCause' | 'hints'>;

function explainUnread(verdict: Verification, body: Uint8Array): Explanation {
  return { verdict, tried: [], ...bodyFault(verdict, body) };
}

/** Why a body can't be read as JSON, as a cause for every scheme. */
export function bodyFault(verdict: Verification, body: Uint8Array): Findings {
  const detail = verdict.ok ? '' : verdict.detail;
  const likelyCause = `the body can't be read: ${detail}`;
  if (body.length === 0) {
    return { likelyCause: 'the body is empty', hints: ['See whether a proxy drops the body of a POST.'] };
  }
  if (body[0] === 0xef && body[1] === 0xbb && body[2] === 0xbf) {
    const hints = ['The body starts with a byte order mark, which JSON forbids: something put it in front.'];
    return { likelyCause: 'the body starts with a byte order mark', hints };
  }
  const text = Buffer.from(body).toString('latin1');
  if (/^[A-Za-z0-9+/\r\n]{8,}={0,2}$/.test(text.trim())) {
    const hints = [
      'The body looks like Base64: API Gateway may have set isBase64Encoded, so decode it first.',
    ];
    return { likelyCause: 'the body is Base64, not JSON', hints };
  }
  if (/^[\w.%+-]+=[^{]*(?:&|$)/.test(text)) {
    return {
      likelyCause: 'the body is a form, not JSON',
      hints: ['See the content type that the sender uses.'],
    };
  }
  return { likelyCause, hints: ['Compare the bytes with what the provider says it sent.'] };
}

function readSign(members: readonly RawMember[]): readonly Received[] {
  const member = members.find(({ key }) => key === 'sign');
  const sign = member === undefined ? null : unescapeString(member.valueText);
  if (sign === null) return [];
  // The scheme asks for capitals and compares without regard to case.
  return decodeLoosely(/^[0-9A-Fa-f]{40}$/.test(sign) ? sign.toLowerCase() : sign, 'hex');
}

function triedTexts(
  members: readonly RawMember[],
  received: readonly Received[],
  keys: readonly Secret[],
): readonly TriedText[] {
  const candidates = [...eiotclubCandidates(members, eiotclubUnsigned)].map(({ variant, text }) => {
    const hit = firstHit([{ cause: '', text }], keys, received, compute);
    const digest = hit === null ? null : compute(text, keys[hit.keyIndex]?.reveal() ?? '');
    return { variant, text, digest };
  });
  return listTried(candidates, (text) => `${masked(text, keys)}${suffix}<secret>`);
}

interface Refused {
  readonly members: readonly RawMember[];
  readonly received: readonly Received[];
  readonly keys: readonly Secret[];
  readonly accepted: readonly string[] | null;
}

function explainRefused(verdict: Verification & { readonly ok: false }, refused: Refused): Findings {
  const { members, received, keys, accepted } = refused;
  if (verdict.reason === 'no-secret') {
    return { likelyCause: 'no secret is set', hints: ['Set the callback secret of this provider.'] };
  }
  if (verdict.reason === 'missing-signature') return explainMissing(members);
  if (verdict.reason === 'malformed-timestamp' || verdict.reason === 'malformed-body') {
    return { likelyCause: verdict.detail, hints: ['The signature itself is good.'] };
  }
  const hit = firstHit(trials(members, accepted), keys, received, compute);
  if (hit !== null) return { likelyCause: hit.cause, hints: hintsFor(hit.keyIndex) };
  const form = verdict.reason === 'malformed-signature' ? [verdict.detail] : [];
  return {
    likelyCause:
      form[0] ?? 'the secret is not the one that the sender used, or the body was changed on the way',
    hints: [...form, ...unmatchedHints(members)],
  };
}

function hintsFor(keyIndex: number): readonly string[] {
  const key = keyIndex === 0 ? 'the newest live key' : `live key number ${keyIndex + 1}`;
  return [`This reading matches with ${key}, so the secret is right and only the text or its form differs.`];
}

function explainMissing(members: readonly RawMember[]): Findings {
  const alike = members.find(({ key }) => /^(?:x-)?sign(?:ature)?$/i.test(key) && key !== 'sign');
  const names = members.slice(0, 20).map(({ key }) => quoted(key));
  const likelyCause =
    alike === undefined
      ? 'the body has no member called "sign"'
      : `the signature stands in the member ${quoted(alike.key)}, but must be called "sign"`;
  return { likelyCause, hints: [`Members of the body: ${names.join(', ') || 'none'}.`] };
}

function unmatchedHints(members: readonly RawMember[]): readonly string[] {
  const hints = [
    'Check that the secret is the one of callbacks, and that it is not the one before the last rotation.',
    'Compare the texts above with the body that the provider says it sent.',
  ];
  if (members.some(({ valueText }) => /\\u[0-9a-fA-F]{4}|\\\//.test(valueText))) {
    hints.push('The body holds escapes (\\uXXXX or \\/): a machine in between may have written it again.');
  }
  if (
    members.some(({ kind, valueText }) => kind !== 'string' && /[.eE]/.test(valueText) && kind === 'number')
  ) {
    hints.push(
      'The body holds a number with a fraction or an exponent, whose spelling may have changed on the way.',
    );
  }
  return hints;
}

/** Slips in the order in which they are seen: another variant, appkey, secret, field set, spelling, unit, algorithm. */
function* trials(members: readonly RawMember[], accepted: readonly string[] | null): Generator<Trial> {
  const base = [...eiotclubCandidates(members, eiotclubUnsigned)];
  for (const { variant, text } of base) yield { cause: variantCause(variant, accepted), text };
  const [first] = base;
  if (first === undefined) return;
  yield* unsignedMembersSigned(members);
  yield* otherSecrets(first.text, compute);
  const pairs = eiotclubPairs(members, eiotclubUnsigned, first.variant) ?? [];
  const order = new Map(members.map(({ key }, index) => [key, index]));
  const received = pairs.toSorted(([a], [b]) => (order.get(a) ?? 0) - (order.get(b) ?? 0));
  for (const [cause, other] of otherPairs(pairs, received)) yield { cause, text: joinPairs(other) };
  yield* emptyMembersSigned(members, pairs);
  yield* respelled(members, pairs);
  yield* otherTimeUnits(pairs);
  yield* otherAlgorithms(first.text, suffix);
}

function* unsignedMembersSigned(members: readonly RawMember[]): Generator<Trial> {
  for (const variant of eiotclubCallbackVariants) {
    const all = eiotclubPairs(members, new Set(['sign']), variant);
    if (all === null) continue;
    yield { cause: 'the sender signed appkey too, which callbacks must leave out', text: joinPairs(all) };
  }
  const withSign = eiotclubPairs(members, new Set(), eiotclubCallbackVariants[0] ?? '');
  if (withSign !== null)
    yield { cause: 'the sender signed an earlier value of sign itself', text: joinPairs(withSign) };
}

function* emptyMembersSigned(members: readonly RawMember[], pairs: readonly Pair[]): Generator<Trial> {
  const dropped = members.filter(
    ({ key }) => !eiotclubUnsigned.has(key) && !pairs.some(([name]) => name === key),
  );
  const withText = (text: (member: RawMember) => string, some: readonly RawMember[]): string => {
    const added = some.map((member): Pair => [member.key, text(member)]);
    return joinPairs([...pairs, ...added].sort(([a], [b]) => compareBytes(a, b)));
  };
  const literal = (member: RawMember): string => (member.kind === 'string' ? '' : member.valueText);
  for (const [form, text] of [['as "key="', () => ''] as const, ['as they are written', literal] as const]) {
    yield { cause: `the sender signed empty members too, ${form}`, text: withText(text, dropped) };
    for (const member of dropped.slice(0, 50)) {
      const cause = `the sender signed the empty member ${quoted(member.key)} too, ${form}`;
      yield { cause, text: withText(text, [member]) };
    }
  }
}

function* respelled(members: readonly RawMember[], pairs: readonly Pair[]): Generator<Trial> {
  const nested = new Map(
    members.filter(({ kind }) => kind === 'object' || kind === 'array').map((m) => [m.key, m]),
  );
  const spellings = new Map<string, Pair[]>();
  for (const [key, value] of pairs) {
    const member = nested.get(key);
    for (const [cause, text] of otherSpellings(member?.valueText ?? '[]')) {
      const list = spellings.get(cause) ?? [];
      list.push([key, member === undefined ? value : text]);
      spellings.set(cause, list);
    }
  }
  for (const [cause, list] of spellings) yield { cause, text: joinPairs(list) };
  const escaped = pairs.map(([key, value]): Pair => [key, asciiEscaped(value)]);
  yield { cause: 'non-ASCII characters were signed as \\uXXXX escapes', text: joinPairs(escaped) };
}

function* otherTimeUnits(pairs: readonly Pair[]): Generator<Trial> {
  const withTime = (change: (time: string) => string): string =>
    joinPairs(pairs.map(([key, value]) => [key, key === 'timestamp' ? change(value) : value]));
  yield {
    cause: 'timestamp was signed in milliseconds but sent in seconds',
    text: withTime((time) => `${time}000`),
  };
  if (pairs.some(([key, value]) => key === 'timestamp' && /^\d{13}$/.test(value))) {
    yield {
      cause: 'timestamp was signed in seconds but sent in milliseconds',
      text: withTime((time) => time.slice(0, 10)),
    };
  }
}
