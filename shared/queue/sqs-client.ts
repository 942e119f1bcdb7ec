import { SQSClient } from '@aws-sdk/client-sqs';

export interface SqsClientOptions {
  readonly region: string;
  /**
   * Address of the engine; null is AWS's own endpoint of the region. An endpoint from the environment alone would lose
   * against the host in a queue's URL.
   */
  readonly endpoint: string | null;
  /** Null takes the role of the function or the operator's profile. */
  readonly credentials: { readonly accessKeyId: string; readonly secretAccessKey: string } | null;
  /** Longer than the longest wait of a receive. */
  readonly requestTimeoutMs: number;
}

const connectionTimeoutMs = 1_000;
const socketsMax = 50;

/** A client whose calls are tried once: the queue repeats them itself, so that retries don't multiply. */
export function makeSqsClient(options: SqsClientOptions): SQSClient {
  const agent = { keepAlive: true, maxSockets: socketsMax };
  return new SQSClient({
    region: options.region,
    maxAttempts: 1,
    requestHandler: {
      connectionTimeout: connectionTimeoutMs,
      requestTimeout: options.requestTimeoutMs,
      throwOnRequestTimeout: true,
      httpAgent: agent,
      httpsAgent: agent,
    },
    ...(options.endpoint === null ? {} : { endpoint: options.endpoint }),
    ...(options.credentials === null ? {} : { credentials: options.credentials }),
  });
}
