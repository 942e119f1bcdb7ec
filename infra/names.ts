import type { SecretPurpose } from '../shared/platform/secret-source.ts';

/** What the stacks and the command line must call alike. */

/** The stack of everything that holds something. */
export const stateStackName = (stage: string): string => `${serviceStackName(stage)}-state`;

/** The stack of everything that runs. */
export const serviceStackName = (stage: string): string => `simhook-${stage}`;

/** A secret in Secrets Manager. */
export const secretName = (stage: string, provider: string, purpose: SecretPurpose): string =>
  `simhook/${stage}/${provider}/${purpose}`;

/** The mark in Parameter Store that the secret of the same name holds something. */
export const secretMarkName = (stage: string, provider: string, purpose: SecretPurpose): string =>
  `/${secretName(stage, provider, purpose)}`;

/** What a mark may say. Never a value, so that a template, a log or a console can show it. */
export const secretMarks = ['key', 'path-token', 'key and path-token'] as const;
export type SecretMark = (typeof secretMarks)[number];

/** What the mark of a secret has to say; null while it holds nothing that can be used. */
export function secretMarkOf(
  value: { readonly keys: readonly unknown[]; readonly pathToken: unknown } | null,
  purpose: SecretPurpose,
): SecretMark | null {
  const hasKey = (value?.keys.length ?? 0) > 0;
  // Calls are signed with keys alone.
  const hasToken = purpose === 'callback' && value?.pathToken != null;
  if (hasKey) return hasToken ? 'key and path-token' : 'key';
  return hasToken ? 'path-token' : null;
}

/**
 * The marks with which a provider can work. Unsigned callbacks are believed on a secret path only
 * (functions/receive/accept-callback.ts), so a stage that accepts them needs the token, and may do without a key.
 */
export function enoughMarks(purpose: SecretPurpose, acceptUnsigned: boolean): readonly SecretMark[] {
  return purpose === 'callback' && acceptUnsigned
    ? ['path-token', 'key and path-token']
    : ['key', 'key and path-token'];
}

/** The state stack's outputs, by which the command line finds a stage's engines. A change of their shape is a new layout. */
export const opsOutputs = { layout: 'OpsLayout', table: 'OpsTable', queue: 'OpsQueue' } as const;
export const opsLayout = '1';
