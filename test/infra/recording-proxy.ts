import { createServer, type IncomingMessage, request, type Server } from 'node:http';
import { z } from 'zod';

/** One right that a call needs: an IAM action on one thing, and the keys that it touches. */
export interface UsedCall {
  readonly action: string;
  /** Table, index, queue URL or secret id, as the call names it. */
  readonly on: string;
  readonly keys: readonly string[];
}

export interface RecordingProxy {
  readonly endpoint: string;
  readonly calls: UsedCall[];
  stop(): Promise<void>;
}

/** Passes everything on to an engine and writes down which rights each call would need in AWS. */
export async function startRecordingProxy(target: string): Promise<RecordingProxy> {
  const calls: UsedCall[] = [];
  const server = createServer((incoming, outgoing) => {
    readAll(incoming)
      .then((body) => {
        calls.push(...rightsOf(String(incoming.headers['x-amz-target'] ?? ''), body));
        const onward = request(target, {
          method: incoming.method,
          path: incoming.url,
          headers: incoming.headers,
        });
        onward.on('error', () => outgoing.destroy());
        onward.on('response', (answer) => {
          outgoing.writeHead(answer.statusCode ?? 502, answer.headers);
          answer.pipe(outgoing);
        });
        onward.end(body);
      })
      .catch((error: unknown) => outgoing.destroy(error instanceof Error ? error : new Error(String(error))));
  });
  return { ...(await listen(server)), calls };
}

/** A tiny Secrets Manager: GetSecretValue, nothing else. */
export async function startSecretsEndpoint(secrets: ReadonlyMap<string, string>): Promise<RecordingProxy> {
  const calls: UsedCall[] = [];
  const server = createServer((incoming, outgoing) => {
    readAll(incoming)
      .then((body) => {
        const target = String(incoming.headers['x-amz-target'] ?? '');
        const { SecretId } = z.object({ SecretId: z.string() }).parse(JSON.parse(body.toString()));
        calls.push({ action: target.replace('.', ':'), on: SecretId, keys: [] });
        const value = secrets.get(SecretId);
        const known = value !== undefined;
        outgoing.writeHead(known ? 200 : 400, { 'content-type': 'application/x-amz-json-1.1' });
        outgoing.end(
          JSON.stringify(
            known
              ? {
                  ARN: SecretId,
                  Name: SecretId,
                  SecretString: value,
                  VersionId: 'v1',
                  VersionStages: ['AWSCURRENT'],
                }
              : {
                  __type: 'ResourceNotFoundException',
                  message: "Secrets Manager can't find the specified secret value",
                },
          ),
        );
      })
      .catch((error: unknown) => outgoing.destroy(error instanceof Error ? error : new Error(String(error))));
  });
  const { endpoint, stop } = await listen(server);
  return { endpoint, stop, calls };
}

const keySchema = z.object({ pk: z.object({ S: z.string() }) });
const onTable = z.object({ TableName: z.string() });
const transactSchema = z.object({
  TransactItems: z.array(
    z.partialRecord(
      z.enum(['Put', 'Update', 'Delete', 'ConditionCheck']),
      onTable.extend({ Item: keySchema.optional(), Key: keySchema.optional() }),
    ),
  ),
});
const transactActions = {
  Put: 'PutItem',
  Update: 'UpdateItem',
  Delete: 'DeleteItem',
  ConditionCheck: 'ConditionCheckItem',
} as const;

/**
 * The IAM actions that a call is checked against. A transaction needs those of its parts, a batch send that of a send.
 * Source: service authorization reference, DynamoDB and SQS.
 */
function rightsOf(target: string, body: Buffer): readonly UsedCall[] {
  const [service = '', operation = ''] = target.split('.');
  const input: unknown = JSON.parse(body.toString('utf8'));
  if (service === 'AmazonSQS') {
    const { QueueUrl } = z.object({ QueueUrl: z.string() }).parse(input);
    return [{ action: `sqs:${operation.replace(/Batch$/, '')}`, on: QueueUrl, keys: [] }];
  }
  switch (operation) {
    case 'TransactWriteItems':
      return transactSchema.parse(input).TransactItems.flatMap((item) =>
        Object.entries(item).map(([kind, part]) => ({
          action: `dynamodb:${transactActions[z.enum(['Put', 'Update', 'Delete', 'ConditionCheck']).parse(kind)]}`,
          on: part.TableName,
          keys: [(part.Item ?? part.Key)?.pk.S ?? ''],
        })),
      );
    case 'BatchGetItem': {
      const { RequestItems } = z
        .object({ RequestItems: z.record(z.string(), z.object({ Keys: z.array(keySchema) })) })
        .parse(input);
      return Object.entries(RequestItems).map(([on, { Keys }]) => ({
        action: 'dynamodb:BatchGetItem',
        on,
        keys: Keys.map(({ pk }) => pk.S),
      }));
    }
    case 'Query': {
      const { TableName, IndexName } = onTable.extend({ IndexName: z.string().optional() }).parse(input);
      const on = IndexName === undefined ? TableName : `${TableName}/index/${IndexName}`;
      return [{ action: 'dynamodb:Query', on, keys: [] }];
    }
    default: {
      const { TableName, Item, Key } = onTable
        .extend({ Item: keySchema.optional(), Key: keySchema.optional() })
        .parse(input);
      return [{ action: `dynamodb:${operation}`, on: TableName, keys: [(Item ?? Key)?.pk.S ?? ''] }];
    }
  }
}

async function readAll(incoming: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of incoming) chunks.push(Buffer.from(chunk));
  return Buffer.concat(chunks);
}

function listen(server: Server): Promise<{ readonly endpoint: string; stop(): Promise<void> }> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      if (typeof address !== 'object' || address === null) return reject(new Error('no port'));
      resolve({
        endpoint: `http://127.0.0.1:${address.port}`,
        stop: () =>
          new Promise((done) => {
            server.close(() => done());
            server.closeAllConnections();
          }),
      });
    });
  });
}
