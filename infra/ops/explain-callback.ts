import type { NamedSecret } from '../../shared/providers/provider.ts';
import {
  type CubeKey,
  type ExplainOptions,
  type Explanation,
  explainCsssCallback,
  explainCubeNotification,
  explainEiotclubCallback,
} from '../../shared/signing/index.ts';
import { misused } from './failure.ts';

export interface SignedRequest {
  readonly body: Uint8Array;
  readonly headers: Readonly<Record<string, string>>;
}

type Explainer = (
  request: SignedRequest,
  keys: readonly NamedSecret[],
  options: ExplainOptions,
) => Explanation;

const explainers: Readonly<Record<string, Explainer>> = {
  eiotclub: ({ body }, keys, options) => explainEiotclubCallback(body, valuesOf(keys), options),
  'linksfield-csss': ({ body, headers }, keys, options) =>
    explainCsssCallback(body, headers['x-lf-md5'], valuesOf(keys), options),
  'linksfield-cube': ({ body, headers }, keys, options) =>
    explainCubeNotification(body, headers, keys.flatMap(cubeKey), options),
};

function valuesOf(keys: readonly NamedSecret[]) {
  return keys.map(({ secret }) => secret);
}

function cubeKey({ keyId, secret }: NamedSecret): readonly CubeKey[] {
  return keyId === null ? [] : [{ keyId, secret }];
}

/** Says why a provider's signature fails or holds. Throws OpsError `usage` for a provider without a scheme. */
export function explainCallback(
  provider: string,
  request: SignedRequest,
  keys: readonly NamedSecret[],
  options: ExplainOptions,
): Explanation {
  const explainer = Object.hasOwn(explainers, provider) ? explainers[provider] : undefined;
  if (explainer) return explainer(request, keys, options);
  throw misused(
    `signatures of "${provider}" can't be explained; those of ${Object.keys(explainers).join(', ')} can`,
  );
}
