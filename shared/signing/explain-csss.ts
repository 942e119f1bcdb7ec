import { csssCallbackVariants, csssCandidates, csssPairs, verifyCsssCallback } from './csss-callback.ts';
import { md5 } from './digest.ts';
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
  otherPairs,
  otherSecrets,
  type Received,
  type Trial,
  type TriedText,
  variantCause,
  withoutSecrets,
} from './explanation.ts';
import { joinPairs } from './key-value-text.ts';
import { compactText, decodeUtf8, type RawRoot, readRoot } from './raw-json.ts';
import { rewriteJson, sortedStyle } from './rewritten-json.ts';
import type { Secret } from './secret.ts';
import type { Verification } from './verification.ts';

const compute: Compute = (text, secret) => md5(`${text}&${secret}`);

/**
 * Says what was hashed for a callback under each variant and, if `x-lf-md5` is refused, tries the usual slips one by
 * one and names the one that gives the received header. Never throws and never shows a secret.
 * Source: protocols/linksfield.md, section 4.
 */
export function explainCsssCallback(
  body: Uint8Array,
  signatureHeader: string | undefined,
  keys: readonly Secret[],
  options: ExplainOptions,
): Explanation {
  const verdict = verifyCsssCallback(body, signatureHeader, keys, options);
  const root = readRoot(body);
  if (!root.ok)
    return withoutSecrets(
      {
        verdict,
        tried: [],
        ...bodyFault({ ok: false, reason: 'malformed-body', detail: root.detail }, body),
      },
      keys,
    );
  const received = decodeLoosely(signatureHeader ?? '', 'base64');
  const tried = triedTexts(root, received, keys);
  if (verdict.ok) return withoutSecrets(explainGood(verdict, tried, options.nowMs), keys);
  return withoutSecrets(
    {
      verdict,
      tried,
      ...explainRefused(verdict, { body, root, received, keys, accepted: options.variants }),
    },
    keys,
  );
}

function triedTexts(
  root: RawRoot,
  received: readonly Received[],
  keys: readonly Secret[],
): readonly TriedText[] {
  const candidates = allCandidates(root).map(({ variant, text }) => {
    const hit = firstHit([{ cause: '', text }], keys, received, compute);
    const digest = hit === null ? null : compute(text, keys[hit.keyIndex]?.reveal() ?? '');
    return { variant, text, digest };
  });
  return listTried(candidates, (text) => `${masked(text, keys)}&<secret>`);
}

function allCandidates(root: RawRoot): readonly { readonly variant: string; readonly text: string }[] {
  return (['digest-bytes', 'hex-text'] as const).flatMap((output) => [...csssCandidates(root, output)]);
}

interface Refused {
  readonly body: Uint8Array;
  readonly root: RawRoot;
  readonly received: readonly Received[];
  readonly keys: readonly Secret[];
  readonly accepted: readonly string[] | null;
}

function explainRefused(
  verdict: Verification & { readonly ok: false },
  refused: Refused,
): Pick<Explanation, 'likelyCause' | 'hints'> {
  switch (verdict.reason) {
    case 'no-secret':
      return {
        likelyCause: 'no secret is set',
        hints: ['Set the callback secret: it is not the API secret.'],
      };
    case 'missing-signature':
      return {
        likelyCause: 'the header x-lf-md5 is not there',
        hints: [
          'The page on order status changes says that its headers are not sent yet: such a message is unsigned.',
          'See whether a proxy or the API stage drops headers that start with x-lf-.',
        ],
      };
    case 'malformed-body':
      return { likelyCause: verdict.detail, hints: ['The signature itself is good.'] };
    default: {
      const hit = firstHit(trials(refused), refused.keys, refused.received, compute);
      if (hit !== null) {
        const key = hit.keyIndex === 0 ? 'the newest live key' : `live key number ${hit.keyIndex + 1}`;
        return { likelyCause: hit.cause, hints: [`This reading matches with ${key}.`] };
      }
      return explainUnmatched(verdict);
    }
  }
}

function explainUnmatched(
  verdict: Verification & { readonly ok: false },
): Pick<Explanation, 'likelyCause' | 'hints'> {
  const likelyCause =
    verdict.reason === 'malformed-signature'
      ? verdict.detail
      : 'the secret is not the one that the sender used, or the body was changed on the way';
  return {
    likelyCause,
    hints: [
      'The notification secret is not the API secret: ask the provider which one signs callbacks.',
      'Check that the secret is not the one before the last rotation.',
      'Compare the texts above with the body that the provider says it sent.',
    ],
  };
}

function* trials({ body, root, accepted }: Refused): Generator<Trial> {
  const base = allCandidates(root);
  for (const { variant, text } of base) {
    yield { cause: variantCause(variant, accepted), text };
  }
  for (const text of new Set(base.map((candidate) => candidate.text))) yield* otherSecrets(text, compute);
  for (const variant of csssCallbackVariants) {
    const pairs = csssPairs(root, variant);
    if (pairs === null) continue;
    for (const [cause, other] of otherPairs(pairs, receivedOrder(root, pairs)))
      yield { cause, text: joinPairs(other) };
  }
  yield* wholeBody(body);
  for (const text of new Set(base.map((candidate) => candidate.text))) {
    yield* otherAlgorithms(text, '&');
    const named: Compute = (t, secret) => md5(`${t}&secret=${secret}`);
    yield { cause: 'the secret was appended as "&secret=", the EIOTCLUB way', text, compute: named };
  }
}

function receivedOrder<P extends readonly [string, string]>(
  root: RawRoot,
  pairs: readonly P[],
): readonly P[] {
  if (!root.ok || root.kind !== 'object') return pairs;
  const order = new Map(root.members.map(({ key }, index) => [key, index]));
  return pairs.toSorted(([a], [b]) => (order.get(a) ?? 0) - (order.get(b) ?? 0));
}

/** Schemes of the same company that hash JSON text in place of pairs. */
function* wholeBody(body: Uint8Array): Generator<Trial> {
  const raw = decodeUtf8(body) ?? '';
  const compact = compactText(raw);
  const sorted = rewriteJson(raw, sortedStyle) ?? compact;
  const checksum: Compute = (text) => md5(text);
  for (const [what, text] of [
    ['the body as it stands', raw],
    ['the body without the newline at its end', raw.trimEnd()],
    ['the body as compact JSON', compact],
    ['the body as compact JSON with sorted keys', sorted],
  ] as const) {
    yield { cause: `the sender hashed ${what}, "&" and the secret, not key=value pairs`, text };
    const plain: Compute = (t, secret) => md5(t + secret);
    yield { cause: `the sender hashed ${what} and the secret, not key=value pairs`, text, compute: plain };
    const cause = `the sender hashed ${what} without a secret: that is the checksum of the Mall API, which proves nothing`;
    yield { cause, text, compute: checksum };
  }
}
