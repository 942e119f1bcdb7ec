import { z } from 'zod';
import type { ProviderId } from '../core/subject.ts';
import { type EpochMs, elapsed, hours, minutes, seconds } from '../core/time.ts';
import { Secret } from '../signing/index.ts';
import type { Clock } from './clock.ts';
import type { SecretPurpose, SecretSet, SecretSource } from './secret-source.ts';

/** How long a value is used before it is read again: the longest that a rotation can go unseen. */
export const secretFreshFor = minutes(5);

/**
 * While Secrets Manager can't be reached, the last good value is used this long, counted from when it was read: an
 * outage there must not turn every callback away.
 */
export const secretStaleFor = hours(1);

/** At most one extra read per secret and container in this time, however many forged callbacks arrive. */
export const rereadFloor = seconds(30);

/** A read that failed is not repeated sooner, so that a secret without a value does not cost a call per callback. */
export const failureFloor = seconds(5);

const keysMax = 10;

/** Same shortest token as in a stage file (shared/policy/stage.ts). */
const pathTokenCharsMin = 16;

/**
 * The text of one secret. Newest key first. Anything else is refused whole, such as a placeholder that someone
 * generated: a key that nobody chose would let whoever reads it sign.
 */
export const secretValueSchema = z.strictObject({
  keys: z
    .array(z.strictObject({ keyId: z.string().min(1).nullable(), value: z.string().min(1) }))
    .max(keysMax),
  pathToken: z.string().min(pathTokenCharsMin).nullable().default(null),
});
export type SecretValue = z.infer<typeof secretValueSchema>;

/** Why a secret can't be used. The text names the secret and the place of the fault, never a part of its value. */
export class SecretUnusableError extends Error {
  readonly code: 'unknown-secret' | 'unreadable-secret' | 'unreachable-secret';

  constructor(code: SecretUnusableError['code'], message: string, options?: { readonly cause?: unknown }) {
    super(message, options);
    this.name = 'SecretUnusableError';
    this.code = code;
  }
}

/** Reads the text of one secret. Throws when there is none or it can't be reached. */
export type FetchSecret = (secretId: string) => Promise<string>;

export interface SecretsManagerSourceDeps {
  readonly fetchSecret: FetchSecret;
  /** Secret id by provider, for each purpose that this function may read. */
  readonly secretIds: Readonly<Partial<Record<SecretPurpose, Readonly<Record<ProviderId, string>>>>>;
  readonly clock: Clock;
}

/** What is known of one secret in this container. */
interface Entry {
  readonly good: { readonly set: SecretSet; readonly at: EpochMs } | null;
  readonly failed: { readonly error: SecretUnusableError; readonly at: EpochMs } | null;
  readonly pending: Promise<SecretSet> | null;
}

const unread: Entry = { good: null, failed: null, pending: null };

/**
 * Secrets from AWS Secrets Manager, cached per container. `read` throws SecretUnusableError when there is no usable
 * value: the caller answers 5xx and the provider tries again, which a 401 would not give.
 */
export function createSecretsManagerSource(deps: SecretsManagerSourceDeps): SecretSource {
  const entries = new Map<string, Entry>();
  const entryOf = (id: string): Entry => entries.get(id) ?? unread;

  /** Callers that come while a read is under way share it. */
  const refresh = (id: string): Promise<SecretSet> => {
    const entry = entryOf(id);
    if (entry.pending !== null) return entry.pending;
    const pending = fetchSet(id, deps.fetchSecret).then(
      (set) => {
        entries.set(id, { good: { set, at: deps.clock() }, failed: null, pending: null });
        return set;
      },
      (cause: unknown) => {
        const error = asUnusable(id, cause);
        entries.set(id, { good: entryOf(id).good, failed: { error, at: deps.clock() }, pending: null });
        throw error;
      },
    );
    entries.set(id, { ...entry, pending });
    return pending;
  };

  return {
    async read(provider, purpose) {
      const id = secretIdOf(deps, provider, purpose);
      const now = deps.clock();
      const { good, failed } = entryOf(id);
      if (good !== null && elapsed(good.at, now) < secretFreshFor) return good.set;
      if (failed !== null && elapsed(failed.at, now) < failureFloor) return orStale(failed.error, good, now);
      try {
        return await refresh(id);
      } catch (error) {
        return orStale(error, good, now);
      }
    },
    async reread(provider, purpose) {
      const id = secretIdOf(deps, provider, purpose);
      const now = deps.clock();
      const { good, failed } = entryOf(id);
      if (failed !== null && elapsed(failed.at, now) < failureFloor) throw failed.error;
      if (good !== null && elapsed(good.at, now) < rereadFloor) return null;
      return refresh(id);
    },
  };
}

/** The last good value while it may still stand in. A value that became unreadable is a mistake, not an outage. */
function orStale(error: unknown, good: Entry['good'], now: EpochMs): SecretSet {
  const outage = error instanceof SecretUnusableError && error.code === 'unreachable-secret';
  if (good !== null && outage && elapsed(good.at, now) < secretStaleFor) return good.set;
  throw error;
}

function secretIdOf(deps: SecretsManagerSourceDeps, provider: ProviderId, purpose: SecretPurpose): string {
  const id = deps.secretIds[purpose]?.[provider];
  if (id !== undefined) return id;
  throw new SecretUnusableError(
    'unknown-secret',
    `this function has no ${purpose} secret of ${provider}; it may read ${
      Object.entries(deps.secretIds)
        .flatMap(([p, ids]) => Object.keys(ids ?? {}).map((name) => `${p} of ${name}`))
        .join(', ') || 'none'
    }`,
  );
}

async function fetchSet(id: string, fetchSecret: FetchSecret): Promise<SecretSet> {
  const reading = readSecretValue(await fetchSecret(id));
  if (!reading.ok) {
    throw new SecretUnusableError(
      'unreadable-secret',
      `secret ${id} ${reading.problem}; set it with: npx simhook secrets set`,
    );
  }
  const { keys, pathToken } = reading.value;
  return {
    keys: keys.map(({ keyId, value }) => ({ keyId, secret: new Secret(value) })),
    pathToken: pathToken === null ? null : new Secret(pathToken),
  };
}

export type SecretReading =
  | { readonly ok: true; readonly value: SecretValue }
  | { readonly ok: false; readonly problem: string };

/** Checks the text of a secret. `problem` holds places and rules only: parsers like to quote what they read. */
export function readSecretValue(text: string): SecretReading {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    return { ok: false, problem: `is not JSON (${text.length} characters)` };
  }
  const parsed = secretValueSchema.safeParse(json);
  if (!parsed.success) {
    const places = parsed.error.issues.map(
      (issue) => `${issue.path.map(String).join('.') || 'whole'}: ${issue.code}`,
    );
    return {
      ok: false,
      problem: `is not {"keys":[{"keyId":null,"value":"…"}],"pathToken":null} (${places.join('; ')})`,
    };
  }
  if (parsed.data.keys.length === 0 && parsed.data.pathToken === null) {
    return { ok: false, problem: 'has neither a key nor a path token' };
  }
  return { ok: true, value: parsed.data };
}

function asUnusable(id: string, cause: unknown): SecretUnusableError {
  if (cause instanceof SecretUnusableError) return cause;
  const name = cause instanceof Error ? cause.name : 'unknown error';
  const why =
    name === 'ResourceNotFoundException'
      ? 'has no value yet; set it with: npx simhook secrets set'
      : `could not be read (${name}); see Secrets Manager and the role of this function`;
  const code = name === 'ResourceNotFoundException' ? 'unreadable-secret' : 'unreachable-secret';
  return new SecretUnusableError(code, `secret ${id} ${why}`, { cause });
}
