import { GetSecretValueCommand, SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import { type FetchSecret, SecretUnusableError } from './secrets-manager-source.ts';

export interface SecretsManagerClientOptions {
  readonly region: string;
  /** Address of the engine; null is AWS's own endpoint of the region. */
  readonly endpoint: string | null;
}

const connectionTimeoutMs = 1_000;
/** Two tries of this, and a callback is still answered within the three seconds that providers wait. */
const requestTimeoutMs = 1_200;
const triesMax = 2;

/** Reads secret texts by GetSecretValue, and nothing else. */
export function createSecretFetcher(options: SecretsManagerClientOptions): FetchSecret {
  const agent = { keepAlive: true, maxSockets: 10 };
  const client = new SecretsManagerClient({
    region: options.region,
    maxAttempts: triesMax,
    requestHandler: {
      connectionTimeout: connectionTimeoutMs,
      requestTimeout: requestTimeoutMs,
      throwOnRequestTimeout: true,
      httpAgent: agent,
      httpsAgent: agent,
    },
    ...(options.endpoint === null ? {} : { endpoint: options.endpoint }),
  });
  return async (secretId) => {
    const { SecretString } = await client.send(new GetSecretValueCommand({ SecretId: secretId }));
    if (SecretString !== undefined) return SecretString;
    throw new SecretUnusableError(
      'unreadable-secret',
      `secret ${secretId} holds bytes; it must hold JSON text`,
    );
  };
}
