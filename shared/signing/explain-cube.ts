import {
  type CubeKey,
  type CubeReading,
  cubeDigest,
  cubeReadings,
  sortedMessage,
  verifyCubeNotification,
} from './cube-notification.ts';
import { bodyFault } from './explain-eiotclub.ts';
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
  otherSecrets,
  quoted,
  type Received,
  type Trial,
  type TriedText,
  variantCause,
  withoutSecrets,
} from './explanation.ts';
import { decodeUtf8, type RawMember, readMembers } from './raw-json.ts';
import { otherSpellings } from './respelled-json.ts';
import { rewriteJson, sortedStyle } from './rewritten-json.ts';
import type { Verification } from './verification.ts';

type Headers = Readonly<Record<string, string>>;
type Findings = Pick<Explanation, 'likelyCause' | 'hints'>;

/**
 * Says what was signed for a notification under each variant and, if it is refused, tries the usual slips one by one
 * and names the one that gives the received signature. Never throws and never shows a secret.
 * Source: protocols/linksfield.md, section 6.
 */
export function explainCubeNotification(
  body: Uint8Array,
  headers: Headers,
  keys: readonly CubeKey[],
  options: ExplainOptions,
): Explanation {
  const verdict = verifyCubeNotification(body, headers, keys, options);
  const secrets = keys.map(({ secret }) => secret);
  const read = readMembers(body);
  if (!read.ok) {
    const fault = bodyFault({ ok: false, reason: 'malformed-body', detail: read.detail }, body);
    return withoutSecrets({ verdict, tried: [], ...fault }, secrets);
  }
  const received = readSignature(headers);
  const tried = triedTexts(read.members, headers, received, keys);
  if (verdict.ok) return withoutSecrets(explainGood(verdict, tried, options.nowMs), secrets);
  const found = explainRefused(verdict, {
    body,
    headers,
    members: read.members,
    received,
    keys,
    accepted: options.variants,
  });
  return withoutSecrets({ verdict, tried, ...found }, secrets);
}

/** The signature in every decoding, behind the first slash or, where the key id is missing, the whole value. */
function readSignature(headers: Headers): readonly Received[] {
  const value = lookUp(headers, 'x-lf-signature') ?? '';
  const slash = value.indexOf('/');
  const behindId = slash < 0 ? [] : decodeLoosely(value.slice(slash + 1), 'base64').map(asHexToo);
  const whole = decodeLoosely(value, 'base64').map(({ bytes }) => ({
    how: 'the header has no key id in front',
    bytes,
  }));
  return [...behindId, ...whole];
}

/** Lower-case hex is a documented reading as well. */
function asHexToo(form: Received): Received {
  return form.how === 'the signature was sent as hex' ? { ...form, how: null } : form;
}

function lookUp(headers: Headers, name: string): string | undefined {
  const found = Object.entries(headers).find(([key]) => key.toLowerCase() === name)?.[1];
  return typeof found === 'string' ? found : undefined;
}

function headerText(headers: Headers): string {
  const part = (name: string): string => lookUp(headers, name) ?? '';
  return `${part('x-lf-notification-version')}:${part('x-lf-algo')}:${part('x-lf-timestamp')}`;
}

/** The readings whose output looks like the received signature first: hex digits, in either case, or Base64. */
function likelyReadings(headers: Headers): readonly CubeReading[] {
  const output = /(?:^|\/)[0-9a-fA-F]{40}$/.test(lookUp(headers, 'x-lf-signature') ?? '') ? 'hex' : 'base64';
  return [
    ...cubeReadings.filter((r) => r.output === output),
    ...cubeReadings.filter((r) => r.output !== output),
  ];
}

function computeWith(keyForm: CubeReading['keyForm']): Compute {
  return (text, secret) => cubeDigest(text, secret, keyForm);
}

const bothKeyForms: readonly Compute[] = [computeWith('key_hex_decoded'), computeWith('key_as_text')];
const asText = computeWith('key_as_text');

function triedTexts(
  members: readonly RawMember[],
  headers: Headers,
  received: readonly Received[],
  keys: readonly CubeKey[],
): readonly TriedText[] {
  const secrets = keys.map(({ secret }) => secret);
  const message = sortedMessage(members);
  const candidates = likelyReadings(headers).map(({ name, joiner, keyForm }) => {
    const text = message + joiner + headerText(headers);
    const compute = computeWith(keyForm);
    const hit = firstHit([{ cause: '', text }], secrets, received, compute);
    const digest = hit === null ? null : compute(text, secrets[hit.keyIndex]?.reveal() ?? '');
    return { variant: name, text, digest };
  });
  const matching = candidates.filter(({ digest }) => digest !== null);
  const rest = candidates.filter(({ digest }) => digest === null);
  return listTried([...matching, ...rest], (text) => masked(text, secrets));
}

interface Refused {
  readonly body: Uint8Array;
  readonly headers: Headers;
  readonly members: readonly RawMember[];
  readonly received: readonly Received[];
  readonly keys: readonly CubeKey[];
  readonly accepted: readonly string[] | null;
}

function explainRefused(verdict: Verification & { readonly ok: false }, refused: Refused): Findings {
  if (verdict.reason === 'no-secret') {
    return { likelyCause: 'no secret is set', hints: ['Set the notification key: it is not the API key.'] };
  }
  const secrets = refused.keys.map(({ secret }) => secret);
  const hit = firstHit(trials(refused), secrets, refused.received, asText);
  const form = headerFault(verdict, refused.headers);
  if (hit === null)
    return { likelyCause: form ?? unmatched(verdict, refused), hints: unmatchedHints(refused) };
  const key = hit.keyIndex === 0 ? 'the first live key' : `live key number ${hit.keyIndex + 1}`;
  const hints = [`This reading matches with ${key}: ${hit.cause}.`];
  if (form !== null && verdict.reason !== 'malformed-signature') return { likelyCause: form, hints };
  if (verdict.reason === 'unknown-key') {
    return {
      likelyCause: `the signature matches a live key, but the message calls that key ${keyIdOf(refused)}`,
      hints,
    };
  }
  return { likelyCause: hit.cause, hints };
}

function keyIdOf({ headers }: Refused): string {
  return quoted((lookUp(headers, 'x-lf-signature') ?? '').split('/')[0] ?? '');
}

/** A fault in the headers themselves: missing, misspelt or of another form. */
function headerFault(verdict: Verification & { readonly ok: false }, headers: Headers): string | null {
  const names = ['x-lf-signature', 'x-lf-algo', 'x-lf-notification-version', 'x-lf-timestamp'];
  for (const name of names) {
    const exact = Object.hasOwn(headers, name);
    const other = Object.keys(headers).find((key) => key !== name && key.toLowerCase() === name);
    if (!exact && other !== undefined)
      return `the header ${quoted(other)} must be given as ${name}: lower-case the names`;
    if (!exact) return `the header ${name} is not there`;
  }
  return verdict.reason === 'wrong-signature' || verdict.reason === 'unknown-key' ? null : verdict.detail;
}

function unmatched(verdict: Verification & { readonly ok: false }, refused: Refused): string {
  if (verdict.reason === 'unknown-key')
    return `no live key has the id ${keyIdOf(refused)} that the message names`;
  return 'the key is not the one that the sender used, or the body or a header was changed on the way';
}

function unmatchedHints({ keys, headers }: Refused): readonly string[] {
  const ids = keys.map(({ keyId }) => (keyId === null ? 'one without an id' : quoted(keyId)));
  const hints = [
    `Ids of the live keys: ${ids.join(', ')}.`,
    'A refresh in the console keeps the id and changes the value: hold the old and the new value for a while.',
    'Compare the texts above with the body that the provider says it sent.',
  ];
  const time = lookUp(headers, 'x-lf-timestamp') ?? '';
  if (/^\d{10}$/.test(time))
    hints.push('x-lf-timestamp has 10 digits: it looks like seconds, but must be milliseconds.');
  return hints;
}

function* trials(refused: Refused): Generator<Trial> {
  const { members, headers, accepted } = refused;
  const message = sortedMessage(members);
  const head = headerText(headers);
  for (const { name, joiner, keyForm } of likelyReadings(headers)) {
    const cause = variantCause(name, accepted);
    yield { cause, text: message + joiner + head, compute: computeWith(keyForm) };
  }
  for (const { joiner, keyForm } of cubeReadings)
    yield* otherSecrets(message + joiner + head, computeWith(keyForm));
  for (const joiner of ['', ':', '\n']) {
    for (const [cause, text] of otherTexts(refused, message, head, joiner)) {
      for (const compute of bothKeyForms) yield { cause, text, compute };
    }
    yield* otherAlgorithms(message + joiner + head, '');
  }
}

function* otherTexts(
  { body, members, headers }: Refused,
  message: string,
  head: string,
  joiner: string,
): Generator<readonly [string, string]> {
  const raw = decodeUtf8(body) ?? '';
  yield ['the header string was put in front of the message', head + joiner + message];
  yield ['the body was signed as sent, without sorting its members', raw + joiner + head];
  yield ['the body was signed without the newline at its end', raw.trimEnd() + joiner + head];
  yield [
    'the keys of nested objects were sorted too',
    (rewriteJson(message, sortedStyle) ?? message) + joiner + head,
  ];
  for (const [cause, text] of otherSpellings(message)) yield [cause, text + joiner + head];
  yield ['only the message was signed, without the header string', message];
  const time = lookUp(headers, 'x-lf-timestamp') ?? '';
  const beforeTime = head.slice(0, head.length - time.length);
  yield [
    'the time was signed in milliseconds but sent in seconds',
    `${message}${joiner}${beforeTime}${time}000`,
  ];
  yield [
    'the time was signed in seconds but sent in milliseconds',
    message + joiner + beforeTime + time.slice(0, 10),
  ];
  for (const [index, member] of members.slice(0, 200).entries()) {
    const cause = `the sender did not sign the member ${quoted(member.key)}: it may have been added on the way`;
    yield [cause, sortedMessage(members.toSpliced(index, 1)) + joiner + head];
  }
}
