import { DynamoDBClient } from '@aws-sdk/client-dynamodb';

export interface DynamoClientOptions {
  readonly region: string;
  /** Address of the engine; null is AWS's own endpoint of the region. */
  readonly endpoint: string | null;
  /** Null takes the role of the function or the operator's profile. */
  readonly credentials: { readonly accessKeyId: string; readonly secretAccessKey: string } | null;
}

const connectionTimeoutMs = 1_000;
/** DynamoDB answers in milliseconds; a call that takes longer is better repeated. */
const requestTimeoutMs = 3_000;
const socketsMax = 50;

/**
 * A client whose calls are tried once: the table repeats them itself, because only the table knows which of them
 * may be repeated (pitfall: two retry layers multiply).
 */
export function makeDynamoClient(options: DynamoClientOptions): DynamoDBClient {
  const agent = { keepAlive: true, maxSockets: socketsMax };
  return new DynamoDBClient({
    region: options.region,
    maxAttempts: 1,
    requestHandler: {
      connectionTimeout: connectionTimeoutMs,
      requestTimeout: requestTimeoutMs,
      throwOnRequestTimeout: true,
      httpAgent: agent,
      httpsAgent: agent,
    },
    ...(options.endpoint === null ? {} : { endpoint: options.endpoint }),
    ...(options.credentials === null ? {} : { credentials: options.credentials }),
  });
}
