import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer as createTcpServer, type Server as TcpServer } from 'node:net';
import {
  DynamoDBClient as SdkDynamoDBClient,
  PutItemCommand as SdkPutItemCommand,
} from '@aws-sdk/client-dynamodb';
import {
  SendMessageBatchCommand as SdkSendMessageBatchCommand,
  SQSClient as SdkSQSClient,
} from '@aws-sdk/client-sqs';
import fc from 'fast-check';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { z } from 'zod';
import { AwsError, type ClientConfig } from '../../infra/aws/lambda-sdk/aws-json-client.ts';
import {
  ConditionalCheckFailedException,
  DynamoDBClient,
  GetItemCommand,
  PutItemCommand,
} from '../../infra/aws/lambda-sdk/dynamodb.ts';
import { authorizationOf } from '../../infra/aws/lambda-sdk/request-signature.ts';
import { GetSecretValueCommand, SecretsManagerClient } from '../../infra/aws/lambda-sdk/secrets-manager.ts';

const credentials = {
  accessKeyId: 'AKIDEXAMPLE',
  secretAccessKey: 'wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY',
};

const config = (changes: Partial<ClientConfig> = {}): ClientConfig => ({
  region: 'eu-central-1',
  credentials,
  maxAttempts: 1,
  requestHandler: {
    connectionTimeout: 1_000,
    requestTimeout: 2_000,
    httpAgent: { keepAlive: true, maxSockets: 5 },
    httpsAgent: { keepAlive: true, maxSockets: 5 },
  },
  ...changes,
});

const sdkRequestSchema = z.object({
  headers: z.record(z.string(), z.string()),
  body: z.union([z.string(), z.instanceof(Uint8Array)]),
});
type SdkRequest = z.infer<typeof sdkRequestSchema>;

/** What the SDK would put on the wire: its own handler is replaced by one that keeps the signed request. */
async function signedBySdk(
  send: (handler: { handle: (request: unknown) => Promise<never> }) => Promise<unknown>,
): Promise<SdkRequest> {
  let seen: unknown = null;
  const handle = async (request: unknown): Promise<never> => {
    seen = request;
    throw new TypeError('not sent');
  };
  await send({ handle }).catch(() => undefined);
  return sdkRequestSchema.parse(seen);
}

/** The signature that we give the same headers and body. */
function ours(
  { headers, body }: SdkRequest,
  service: string,
  keys: Parameters<typeof authorizationOf>[3],
): string {
  const names = /SignedHeaders=([^,]+)/.exec(headers.authorization ?? '')?.[1]?.split(';') ?? [];
  const signed = Object.fromEntries(names.map((name) => [name, headers[name] ?? '']));
  const scope = { region: 'eu-central-1', service, amzDate: headers['x-amz-date'] ?? '' };
  return authorizationOf(signed, Buffer.from(body), scope, keys);
}

describe('the signature of a request', () => {
  it('is the SDK’s own, for any body, key and session token', async () => {
    const keyText = fc.string({ unit: 'grapheme-ascii', minLength: 1, maxLength: 60 });
    await fc.assert(
      fc.asyncProperty(
        keyText,
        fc.option(fc.base64String({ minLength: 8 })),
        fc.string(),
        async (secret, token, text) => {
          const keys = {
            accessKeyId: 'AKIDEXAMPLE',
            secretAccessKey: secret,
            ...(token === null ? {} : { sessionToken: token }),
          };
          const dynamo = await signedBySdk((requestHandler) =>
            new SdkDynamoDBClient({
              region: 'eu-central-1',
              credentials: keys,
              maxAttempts: 1,
              requestHandler,
            }).send(new SdkPutItemCommand({ TableName: 't', Item: { pk: { S: text } } })),
          );
          expect(dynamo.headers.authorization).toContain('x-amz-target');
          expect(ours(dynamo, 'dynamodb', keys)).toBe(dynamo.headers.authorization);
          const sqs = await signedBySdk((requestHandler) =>
            new SdkSQSClient({
              region: 'eu-central-1',
              credentials: keys,
              maxAttempts: 1,
              requestHandler,
            }).send(
              new SdkSendMessageBatchCommand({
                QueueUrl: 'https://sqs.eu-central-1.amazonaws.com/1/q',
                Entries: [{ Id: '0', MessageBody: text === '' ? 'x' : text }],
              }),
            ),
          );
          expect(ours(sqs, 'sqs', keys)).toBe(sqs.headers.authorization);
        },
      ),
      { numRuns: 40 },
    );
  });
});

describe('the client that stands in for the SDK', () => {
  const servers: { close(): void }[] = [];
  afterEach(() => {
    for (const server of servers.splice(0)) server.close();
    vi.unstubAllEnvs();
  });

  const serve = async (
    answer: (request: IncomingMessage, response: ServerResponse, body: string) => void,
  ): Promise<string> => {
    const server: Server = createServer((request, response) => {
      const chunks: Buffer[] = [];
      request.on('data', (chunk: Buffer) => chunks.push(chunk));
      request.on('end', () => answer(request, response, Buffer.concat(chunks).toString()));
    });
    servers.push(server);
    return listening(server);
  };

  it('sends what the SDK sends: path, headers and body', async () => {
    const seen: {
      readonly headers: IncomingMessage['headers'];
      readonly body: string;
      readonly url: string;
    }[] = [];
    const endpoint = await serve((request, response, body) => {
      seen.push({ headers: request.headers, body, url: `${request.method} ${request.url}` });
      response.end('{}');
    });
    const input = {
      TableName: 't',
      Item: {
        pk: { S: 'é' },
        n: { N: '1' },
        raw: { B: new Uint8Array([0, 255]) },
        kept: { B: Buffer.from('ab') },
        m: { M: { B: { S: 'no bytes' }, l: { L: [{ NULL: true }, { B: new Uint8Array([1]) }] } } },
      },
    };
    const session = { ...credentials, sessionToken: 'token' };
    await new DynamoDBClient(config({ endpoint, credentials: session })).send(new PutItemCommand(input));
    const sdk = new SdkDynamoDBClient({ region: 'eu-central-1', endpoint, credentials: session });
    await sdk.send(new SdkPutItemCommand(input));
    const [mine, theirs] = seen;
    expect(mine?.url).toBe(theirs?.url);
    expect(JSON.parse(mine?.body ?? '')).toEqual(JSON.parse(theirs?.body ?? ''));
    for (const name of ['content-type', 'host', 'x-amz-target', 'x-amz-security-token', 'content-length'])
      expect([name, mine?.headers[name]]).toEqual([name, theirs?.headers[name]]);
    expect(mine?.headers['x-amz-date']).toMatch(/^\d{8}T\d{6}Z$/);
    sdk.destroy();
  });

  it('reads bytes back, and leaves attributes and members that are called B alone', async () => {
    const endpoint = await serve((_request, response) =>
      response.end('{"Item":{"B":{"S":"text"},"raw":{"B":"AP8="},"m":{"M":{"B":{"B":"AQ=="}}}}}'),
    );
    const read = await new DynamoDBClient(config({ endpoint })).send(new GetItemCommand({}));
    expect(read).toEqual({
      Item: {
        B: { S: 'text' },
        raw: { B: new Uint8Array([0, 255]) },
        m: { M: { B: { B: new Uint8Array([1]) } } },
      },
    });
  });

  it('names an error as the SDK does, with its status and the item that it carries', async () => {
    const endpoint = await serve((_request, response) => {
      response.statusCode = 400;
      response.end(
        '{"__type":"com.amazonaws.dynamodb.v20120810#ConditionalCheckFailedException","message":"no","Item":{"raw":{"B":"AQ=="}}}',
      );
    });
    const error = await new DynamoDBClient(config({ endpoint })).send(new PutItemCommand({})).catch((e) => e);
    expect(error).toBeInstanceOf(ConditionalCheckFailedException);
    expect(error).toMatchObject({
      name: 'ConditionalCheckFailedException',
      message: 'no',
      $metadata: { httpStatusCode: 400 },
      Item: { raw: { B: new Uint8Array([1]) } },
    });
  });

  it.each([
    [503, '', {}, 'UnknownError'],
    [400, 'no json', { 'x-amzn-errortype': 'ThrottlingException:http://x/' }, 'ThrottlingException'],
    [200, '{"cut', {}, 'SyntaxError'],
  ] as const)(
    'calls an answer of %i with %j an error of that status',
    async (status, body, headers, name) => {
      const endpoint = await serve((_request, response) => response.writeHead(status, headers).end(body));
      const error = await new DynamoDBClient(config({ endpoint }))
        .send(new GetItemCommand({}))
        .catch((e) => e);
      expect(error).toBeInstanceOf(AwsError);
      expect(error).toMatchObject({ name, $metadata: { httpStatusCode: status } });
    },
  );

  it('gives up on an answer that stays out or stops half-way, and says so', async () => {
    const quick = { ...config().requestHandler, requestTimeout: 60 };
    for (const begin of ['', '{"Item":']) {
      const endpoint = await serve((_request, response) => {
        if (begin !== '') response.write(begin);
      });
      const client = new DynamoDBClient(config({ endpoint, requestHandler: quick }));
      await expect(client.send(new GetItemCommand({}))).rejects.toMatchObject({ name: 'TimeoutError' });
      client.destroy();
    }
  });

  it('passes on what broke a connection', async () => {
    const refusing = createTcpServer();
    const endpoint = await listening(refusing);
    await new Promise((resolve) => refusing.close(resolve));
    const error = await new DynamoDBClient(config({ endpoint })).send(new GetItemCommand({})).catch((e) => e);
    expect(error).toMatchObject({ code: 'ECONNREFUSED' });
  });

  it('repeats a call only where it was told to, and never a refusal', async () => {
    let calls = 0;
    const endpoint = await serve((_request, response) => {
      calls += 1;
      response.statusCode = calls === 1 ? 500 : 200;
      response.end('{"SecretString":"s"}');
    });
    const get = new GetSecretValueCommand({ SecretId: 'a' });
    expect(await new SecretsManagerClient(config({ endpoint, maxAttempts: 2 })).send(get)).toEqual({
      SecretString: 's',
    });
    expect(calls).toBe(2);
    const denied = await serve((_request, response) => {
      calls += 1;
      response.statusCode = 400;
      response.end('{"__type":"AccessDeniedException"}');
    });
    await expect(
      new SecretsManagerClient(config({ endpoint: denied, maxAttempts: 2 })).send(get),
    ).rejects.toMatchObject({ name: 'AccessDeniedException' });
    expect(calls).toBe(3);
  });

  it('tells AWS inside Lambda which request it works on, so that a loop is seen', async () => {
    const traces: unknown[] = [];
    const endpoint = await serve((request, response) => {
      traces.push(request.headers['x-amzn-trace-id'], request.headers.authorization?.includes('trace'));
      response.end('{}');
    });
    const client = new DynamoDBClient(config({ endpoint }));
    vi.stubEnv('_X_AMZN_TRACE_ID', 'Root=1-5759e988-bd862e3fe1be46a994272793;Lineage=a87bd80c:1');
    await client.send(new GetItemCommand({}));
    vi.stubEnv('AWS_LAMBDA_FUNCTION_NAME', 'receive');
    await client.send(new GetItemCommand({}));
    expect(traces).toEqual([
      undefined,
      false,
      'Root=1-5759e988-bd862e3fe1be46a994272793;Lineage=a87bd80c:1',
      false,
    ]);
  });

  it('takes keys from Lambda’s environment, and refuses a region whose addresses it does not know', async () => {
    const seen: unknown[] = [];
    const endpoint = await serve((request, response) => {
      seen.push(request.headers.authorization?.slice(0, 40), request.headers['x-amz-security-token']);
      response.end('{}');
    });
    vi.stubEnv('AWS_ACCESS_KEY_ID', 'ASIAENV');
    vi.stubEnv('AWS_SECRET_ACCESS_KEY', 'x');
    vi.stubEnv('AWS_SESSION_TOKEN', 'session');
    const { credentials: _none, ...inLambda } = config({ endpoint });
    await new DynamoDBClient(inLambda).send(new GetItemCommand({}));
    expect(seen).toEqual([expect.stringMatching(/^AWS4-HMAC-SHA256 Credential=ASIAENV\/\d/), 'session']);
    for (const region of ['eu-central-1', 'us-gov-west-1', 'cn-north-1', 'mx-central-1'])
      expect(() => new DynamoDBClient(config({ region }))).not.toThrow();
    for (const region of ['', 'us-iso-east-1', 'evil.example/'])
      expect(() => new DynamoDBClient(config({ region }))).toThrow(/set AWS_REGION/);
  });
});

function listening(server: TcpServer): Promise<string> {
  return new Promise((resolve) => {
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      resolve(`http://127.0.0.1:${typeof address === 'object' ? address?.port : ''}`);
    });
  });
}
