import {
  type ClientRequest,
  Agent as HttpAgent,
  request as httpRequest,
  type IncomingMessage,
} from 'node:http';
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https';
import type { Socket } from 'node:net';
import { systemClock } from '../../../shared/platform/clock.ts';
import { environmentCredentials } from './environment-credentials.ts';
import { type AwsCredentials, authorizationOf } from './request-signature.ts';

/*
 * Stands in for the AWS SDK inside the Lambda bundles (bundles.ts), for the calls that the functions make and no others:
 * one signed POST of JSON per call, in the SDK's words, so that the code which is written against the SDK does not
 * notice. Saves 230 KB of each bundle and most of its cold start. Everywhere else the SDK itself is used; the contract
 * suites run on both (test/contract/lambda-sdk-*.test.ts), and its signature is checked against the SDK's own.
 *
 * What the SDK does and this doesn't: retries with pauses (the table and the queue have their own), correcting a wrong
 * clock, FIPS, dual-stack and account endpoints (set *_ENDPOINT), MD5 sums of queue messages (TLS holds them).
 */

/** How one service is spoken to. */
export interface Service {
  /** Name in host names and signatures. */
  readonly name: string;
  /** What the operation's name is appended to in x-amz-target. */
  readonly targetPrefix: string;
  readonly contentType: 'application/x-amz-json-1.0' | 'application/x-amz-json-1.1';
  /** Errors with a class of their own, by their name. */
  readonly errors: Readonly<Record<string, new (fields: ErrorFields) => AwsError>>;
  readonly stringify: (input: unknown) => string;
  readonly parse: (text: string) => unknown;
}

/** The part of the SDK's configuration that simhook sets. */
export interface ClientConfig {
  readonly region?: string;
  readonly endpoint?: string;
  readonly credentials?: AwsCredentials;
  readonly maxAttempts: number;
  readonly requestHandler: {
    readonly connectionTimeout: number;
    readonly requestTimeout: number;
    readonly httpAgent: { readonly keepAlive: boolean; readonly maxSockets: number };
    readonly httpsAgent: { readonly keepAlive: boolean; readonly maxSockets: number };
  };
}

export interface Command {
  readonly operation: string;
  readonly input: unknown;
}

/** The class of an operation's commands, as `PutItemCommand` is for `PutItem`. */
export function commandOf(operation: string): new (input: unknown) => Command {
  return class implements Command {
    readonly operation = operation;
    readonly input: unknown;
    constructor(input: unknown) {
      this.input = input;
    }
  };
}

export interface ErrorFields {
  readonly name: string;
  readonly message: string;
  readonly status: number;
  readonly body: Readonly<Record<string, unknown>>;
}

/** An answer that is an error, or one that can't be read: `name` and `$metadata` are what the SDK gives them. */
export class AwsError extends Error {
  readonly $metadata: { readonly httpStatusCode: number };

  constructor({ name, message, status }: ErrorFields) {
    super(message);
    this.name = name;
    this.$metadata = { httpStatusCode: status };
  }
}

/** Larger answers are cut off: the largest that DynamoDB gives has 16 MB, as JSON a third more. */
const answerBytesMax = 32 * 1024 * 1024;

/** A client of one service. `send` makes one signed request a try; failures are thrown as the SDK would name them. */
export class AwsJsonClient {
  readonly #service: Service;
  readonly #config: ClientConfig;
  readonly #url: URL;
  readonly #region: string;
  readonly #agent: HttpAgent;

  constructor(service: Service, config: ClientConfig) {
    this.#service = service;
    this.#config = config;
    this.#region = config.region ?? process.env.AWS_REGION ?? '';
    this.#url = new URL(config.endpoint ?? `https://${hostOf(service.name, this.#region)}`);
    const { httpAgent, httpsAgent } = config.requestHandler;
    this.#agent = this.#url.protocol === 'https:' ? new HttpsAgent(httpsAgent) : new HttpAgent(httpAgent);
  }

  /** One operation, tried `maxAttempts` times at most where nothing but the way there or the service failed. */
  async send(command: Command): Promise<unknown> {
    const body = Buffer.from(this.#service.stringify(command.input));
    for (let attempt = 1; ; attempt++) {
      try {
        return await this.#sendOnce(command.operation, body);
      } catch (error) {
        const refused = error instanceof AwsError && error.$metadata.httpStatusCode < 500;
        if (refused || attempt >= this.#config.maxAttempts) throw error;
      }
    }
  }

  destroy(): void {
    this.#agent.destroy();
  }

  async #sendOnce(operation: string, body: Buffer): Promise<unknown> {
    const headers = this.#headersOf(operation, body, this.#config.credentials ?? environmentCredentials());
    const { status, header, text } = await this.#exchange(headers, body);
    if (status < 300) return this.#read(text, status);
    throw this.#errorOf(status, header, text);
  }

  #headersOf(operation: string, body: Buffer, credentials: AwsCredentials): Record<string, string> {
    const { name, targetPrefix, contentType } = this.#service;
    const amzDate = new Date(systemClock()).toISOString().replace(/[-:]|\.\d{3}/g, '');
    const headers: Record<string, string> = {
      'content-type': contentType,
      host: this.#url.host,
      'x-amz-date': amzDate,
      'x-amz-target': `${targetPrefix}.${operation}`,
      ...(credentials.sessionToken === undefined ? {} : { 'x-amz-security-token': credentials.sessionToken }),
    };
    const scope = { region: this.#region, service: name, amzDate };
    headers.authorization = authorizationOf(headers, body, scope, credentials);
    headers['content-length'] = String(body.byteLength);
    headers['user-agent'] = 'simhook';
    // Lets AWS see a function that calls itself through a queue. Not signed, as in the SDK.
    // Source: Lambda developer guide, "Use Lambda recursive loop detection to prevent infinite loops".
    const trace = process.env._X_AMZN_TRACE_ID;
    if (process.env.AWS_LAMBDA_FUNCTION_NAME && trace) headers['x-amzn-trace-id'] = trace;
    return headers;
  }

  #exchange(headers: Record<string, string>, body: Buffer): Promise<Answer> {
    const { connectionTimeout, requestTimeout } = this.#config.requestHandler;
    const request = this.#url.protocol === 'https:' ? httpsRequest : httpRequest;
    return new Promise((resolve, reject) => {
      const outgoing = request(this.#url, { method: 'POST', headers, agent: this.#agent });
      const fail = (error: Error): void => {
        clearTimeout(timer);
        outgoing.destroy();
        reject(error);
      };
      const timer = setTimeout(() => fail(timedOut('the answer', requestTimeout)), requestTimeout);
      limitConnecting(outgoing, connectionTimeout, fail);
      outgoing.on('error', fail);
      outgoing.on('response', (answer) => {
        readAnswer(answer).then((read) => {
          clearTimeout(timer);
          resolve(read);
        }, fail);
      });
      outgoing.end(body);
    });
  }

  #read(text: string, status: number): unknown {
    if (text === '') return {};
    try {
      return this.#service.parse(text);
    } catch {
      const message = `an answer of ${text.length} characters is not JSON`;
      throw new AwsError({ name: 'SyntaxError', message, status, body: {} });
    }
  }

  /** Source: Smithy 2.0, "AWS JSON 1.0 protocol", operation error serialization: the name without namespace and URI. */
  #errorOf(status: number, header: string | null, text: string): AwsError {
    const body = recordOf(this.#parsed(text));
    const type = header ?? textIn(body, '__type') ?? textIn(body, 'code') ?? 'UnknownError';
    const name = type.split(':')[0]?.split('#').at(-1) ?? type;
    const message = textIn(body, 'message') ?? textIn(body, 'Message') ?? name;
    const fields: ErrorFields = { name, message, status, body };
    const Known = Object.hasOwn(this.#service.errors, name) ? this.#service.errors[name] : undefined;
    return Known === undefined ? new AwsError(fields) : new Known(fields);
  }

  #parsed(text: string): unknown {
    try {
      return this.#service.parse(text);
    } catch {
      return null;
    }
  }
}

interface Answer {
  readonly status: number;
  /** x-amzn-errortype. */
  readonly header: string | null;
  readonly text: string;
}

function limitConnecting(request: ClientRequest, limitMs: number, fail: (error: Error) => void): void {
  request.on('socket', (socket: Socket) => {
    if (!socket.connecting) return;
    const timer = setTimeout(() => fail(timedOut('a connection', limitMs)), limitMs);
    const done = (): void => clearTimeout(timer);
    socket.once('connect', done).once('close', done);
  });
}

async function readAnswer(answer: IncomingMessage): Promise<Answer> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of answer) {
    chunks.push(chunk);
    bytes += chunk.length;
    if (bytes > answerBytesMax) throw new Error(`an answer has more than ${answerBytesMax} bytes`);
  }
  const header = answer.headers['x-amzn-errortype'];
  return {
    status: answer.statusCode ?? 500,
    header: typeof header === 'string' ? header : null,
    text: Buffer.concat(chunks).toString('utf8'),
  };
}

function timedOut(what: string, limitMs: number): Error {
  const error = new Error(`${what} did not come within ${limitMs} ms`);
  error.name = 'TimeoutError';
  return error;
}

/** Source: AWS General Reference, "AWS service endpoints", and the partitions of the SDK's endpoint rules. */
function hostOf(service: string, region: string): string {
  if (/^(us|eu|ap|sa|ca|me|af|il|mx)-\w+-\d+$|^us-gov-\w+-\d+$/.test(region))
    return `${service}.${region}.amazonaws.com`;
  if (/^cn-\w+-\d+$/.test(region)) return `${service}.${region}.amazonaws.com.cn`;
  throw new Error(
    `no address of ${service} is known for the region ${JSON.stringify(region)}; set AWS_REGION, or the endpoint`,
  );
}

function recordOf(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null ? { ...value } : {};
}

function textIn(body: Readonly<Record<string, unknown>>, name: string): string | null {
  const value = Object.hasOwn(body, name) ? body[name] : null;
  return typeof value === 'string' ? value : null;
}
