import { createServer, type IncomingMessage } from 'node:http';
import { z } from 'zod';

/** What the endpoint holds of one region of one account. */
export interface ControlPlaneState {
  /** Secrets by name; null is a shell without any version, as the state stack makes it. */
  readonly secrets: Map<string, string | null>;
  readonly parameters: Map<string, { readonly value: string; readonly description: string }>;
  readonly stacks: Map<
    string,
    { readonly status: string; readonly outputs: Readonly<Record<string, string>> }
  >;
}

export interface ControlPlane extends ControlPlaneState {
  readonly endpoint: string;
  /** Operations in the order of their calls, such as `ssm:PutParameter`. */
  readonly calls: string[];
  /** An operation answers this error instead, until it is taken back by null. */
  refuse(operation: string, error: string | null): void;
  stop(): Promise<void>;
}

interface Answer {
  readonly status: number;
  readonly type: string;
  readonly body: string;
}

/**
 * A small stand-in for CloudFormation, Secrets Manager and Parameter Store of one region, for what the command line
 * asks of them. It speaks their protocols over real HTTP, so that the SDK in front of it is the real one. Source: API
 * references of the three services; AWS Query and AWS JSON 1.1 protocols.
 */
export async function startControlPlane(region: string): Promise<ControlPlane> {
  const state: ControlPlaneState = { secrets: new Map(), parameters: new Map(), stacks: new Map() };
  const calls: string[] = [];
  const refused = new Map<string, string>();
  const server = createServer((incoming, outgoing) => {
    answer(incoming)
      .then(({ status, type, body }) => {
        outgoing.writeHead(status, { 'content-type': type });
        outgoing.end(body);
      })
      .catch((error: unknown) => outgoing.destroy(error instanceof Error ? error : new Error(String(error))));
  });
  async function answer(incoming: IncomingMessage): Promise<Answer> {
    const body = await readAll(incoming);
    // The region is signed into each call: an endpoint of another one knows nothing of this one's stacks.
    const inRegion = String(incoming.headers.authorization).includes(`/${region}/`);
    const here = inRegion ? state : { secrets: new Map(), parameters: new Map(), stacks: new Map() };
    const target = incoming.headers['x-amz-target'];
    if (target === undefined) return answerQuery(new URLSearchParams(body), here);
    const [service = '', operation = ''] = String(target).split('.');
    const name = `${service === 'secretsmanager' ? service : 'ssm'}:${operation}`;
    calls.push(name);
    const error = refused.get(name);
    if (error !== undefined) return jsonError(error, 'refused');
    return answerJson(name, JSON.parse(body), here);
  }
  function answerQuery(form: URLSearchParams, here: ControlPlaneState): Answer {
    const name = `cloudformation:${form.get('Action')}`;
    calls.push(name);
    const error = refused.get(name);
    if (error !== undefined) return xmlError(error, 'refused');
    if (name !== 'cloudformation:DescribeStacks') return xmlError('InvalidAction', name);
    return describeStack(form.get('StackName') ?? '', here);
  }
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = z.object({ port: z.number() }).parse(server.address());
  return {
    ...state,
    endpoint: `http://127.0.0.1:${port}`,
    calls,
    refuse: (operation, error) => {
      if (error === null) refused.delete(operation);
      else refused.set(operation, error);
    },
    stop: () =>
      new Promise((done) => {
        server.close(() => done());
        server.closeAllConnections();
      }),
  };
}

const named = z.object({ Name: z.string() });
const put = named.extend({
  Value: z.string(),
  Type: z.literal('String'),
  Overwrite: z.boolean().default(false),
  Description: z.string().max(1_024),
});
const secretId = z.object({ SecretId: z.string() });

function answerJson(name: string, input: unknown, state: ControlPlaneState): Answer {
  switch (name) {
    case 'secretsmanager:GetSecretValue': {
      const { SecretId } = secretId.parse(input);
      const value = state.secrets.get(SecretId);
      if (value === undefined)
        return jsonError('ResourceNotFoundException', "Secrets Manager can't find the specified secret.");
      if (value === null)
        return jsonError(
          'ResourceNotFoundException',
          "Secrets Manager can't find the specified secret value for staging label: AWSCURRENT",
        );
      return json({ Name: SecretId, SecretString: value, VersionId: 'v1', VersionStages: ['AWSCURRENT'] });
    }
    case 'secretsmanager:PutSecretValue': {
      const { SecretId, SecretString } = secretId.extend({ SecretString: z.string() }).parse(input);
      if (!state.secrets.has(SecretId))
        return jsonError('ResourceNotFoundException', "Secrets Manager can't find the specified secret.");
      state.secrets.set(SecretId, SecretString);
      return json({ Name: SecretId, VersionId: 'v2', VersionStages: ['AWSCURRENT'] });
    }
    case 'ssm:PutParameter': {
      const { Name, Value, Overwrite, Description } = put.parse(input);
      if (state.parameters.has(Name) && !Overwrite) return jsonError('ParameterAlreadyExists', Name);
      state.parameters.set(Name, { value: Value, description: Description });
      return json({ Version: 1, Tier: 'Standard' });
    }
    case 'ssm:GetParameter': {
      const { Name } = named.parse(input);
      const found = state.parameters.get(Name);
      if (found === undefined) return jsonError('ParameterNotFound', Name);
      return json({ Parameter: { Name, Type: 'String', Value: found.value, Version: 1 } });
    }
    case 'ssm:DeleteParameter':
      return state.parameters.delete(named.parse(input).Name)
        ? json({})
        : jsonError('ParameterNotFound', 'no such parameter');
    default:
      return jsonError('UnknownOperationException', name);
  }
}

const json = (value: unknown): Answer => ({
  status: 200,
  type: 'application/x-amz-json-1.1',
  body: JSON.stringify(value),
});

const jsonError = (error: string, message: string): Answer => ({
  status: 400,
  type: 'application/x-amz-json-1.1',
  body: JSON.stringify({ __type: error, message }),
});

const namespace = 'xmlns="http://cloudformation.amazonaws.com/doc/2010-05-15/"';

/** A stack's description. Source: CloudFormation API reference, DescribeStacks, sample response. */
function describeStack(name: string, { stacks }: ControlPlaneState): Answer {
  const stack = stacks.get(name);
  if (stack === undefined) return xmlError('ValidationError', `Stack with id ${name} does not exist`);
  const outputs = Object.entries(stack.outputs)
    .map(
      ([key, value]) =>
        `<member><OutputKey>${key}</OutputKey><OutputValue>${escaped(value)}</OutputValue></member>`,
    )
    .join('');
  return {
    status: 200,
    type: 'text/xml',
    body: `<DescribeStacksResponse ${namespace}><DescribeStacksResult><Stacks><member><StackName>${name}</StackName><StackId>arn:aws:cloudformation:eu-central-1:111122223333:stack/${name}/1</StackId><CreationTime>2026-01-14T12:00:00Z</CreationTime><StackStatus>${stack.status}</StackStatus><Outputs>${outputs}</Outputs></member></Stacks></DescribeStacksResult></DescribeStacksResponse>`,
  };
}

const xmlError = (code: string, message: string): Answer => ({
  status: code === 'AccessDenied' ? 403 : 400,
  type: 'text/xml',
  body: `<ErrorResponse ${namespace}><Error><Type>Sender</Type><Code>${code}</Code><Message>${escaped(message)}</Message></Error><RequestId>r</RequestId></ErrorResponse>`,
});

const escaped = (text: string): string =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('"', '&quot;');

async function readAll(incoming: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of incoming) chunks.push(Buffer.from(chunk));
  return Buffer.concat(chunks).toString('utf8');
}
