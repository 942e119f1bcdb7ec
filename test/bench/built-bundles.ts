import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { buildBundles, functionNames, type StageFiles } from '../../infra/aws/bundles.ts';
import localStage from '../../infra/stages/local.ts';
import { receivingStageOf } from '../../shared/policy/receiving-stage.ts';
import { stageAt } from './local-world.ts';

const root = fileURLToPath(new URL('../../', import.meta.url));

export interface BuiltBundle {
  readonly name: string;
  readonly file: string;
  readonly bytes: number;
}

export interface BuiltBundles {
  /** The deployed functions, receive first. */
  readonly functions: readonly BuiltBundle[];
  /** receive by plain esbuild: minified, without our plugins. */
  readonly naive: BuiltBundle;
  /** The same three SDK clients, made and nothing else. */
  readonly clients: BuiltBundle;
  /** The Powertools build of alternatives.ts with its DynamoDB layer and an SQS client. */
  readonly powertools: BuiltBundle;
  /** The hand-written floor of alternatives.ts on the SDK's clients. */
  readonly handWritten: BuiltBundle;
  remove(): void;
}

const clientsSource = `
  import { DynamoDBClient, PutItemCommand } from '@aws-sdk/client-dynamodb';
  import { SendMessageBatchCommand, SQSClient } from '@aws-sdk/client-sqs';
  import { GetSecretValueCommand, SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
  const clients = [new DynamoDBClient({}), new SQSClient({}), new SecretsManagerClient({})];
  export const handler = async () => [clients, PutItemCommand, SendMessageBatchCommand, GetSecretValueCommand];
`;

const powertoolsSource = `
  import { DynamoDBPersistenceLayer } from '@aws-lambda-powertools/idempotency/dynamodb';
  import { DynamoDBClient, PutItemCommand } from '@aws-sdk/client-dynamodb';
  import { SendMessageCommand, SQSClient } from '@aws-sdk/client-sqs';
  import { withPowertools } from './test/bench/alternatives.ts';
  const { EVENTS_TABLE, IDEMPOTENCY_TABLE, EVENTS_QUEUE_URL: QueueUrl } = process.env;
  const table = new DynamoDBClient(process.env.DYNAMODB_ENDPOINT ? { endpoint: process.env.DYNAMODB_ENDPOINT } : {});
  const queue = new SQSClient(process.env.SQS_ENDPOINT ? { endpoint: process.env.SQS_ENDPOINT } : {});
  const sinks = {
    insert: async (id, event) => {
      await table.send(new PutItemCommand({
        TableName: EVENTS_TABLE,
        Item: { id: { S: id }, event: { S: JSON.stringify(event) } },
      }));
      return true;
    },
    send: async (MessageBody) => { await queue.send(new SendMessageCommand({ QueueUrl, MessageBody })); },
  };
  const layer = new DynamoDBPersistenceLayer({ tableName: IDEMPOTENCY_TABLE ?? 'idempotency', awsSdkV3Client: table });
  let run = null;
  export const handler = (event, context) => (run ??= withPowertools(sinks, layer, context))(event);
`;

const handWrittenSource = `
  import { ConditionalCheckFailedException, DynamoDBClient, PutItemCommand } from '@aws-sdk/client-dynamodb';
  import { SendMessageCommand, SQSClient } from '@aws-sdk/client-sqs';
  import { handWritten } from './test/bench/alternatives.ts';
  const { EVENTS_TABLE, EVENTS_QUEUE_URL: QueueUrl } = process.env;
  const table = new DynamoDBClient(process.env.DYNAMODB_ENDPOINT ? { endpoint: process.env.DYNAMODB_ENDPOINT } : {});
  const queue = new SQSClient(process.env.SQS_ENDPOINT ? { endpoint: process.env.SQS_ENDPOINT } : {});
  export const handler = handWritten({
    insert: async (id, event) => {
      try {
        await table.send(new PutItemCommand({
          TableName: EVENTS_TABLE,
          Item: { id: { S: id }, event: { S: JSON.stringify(event) } },
          ConditionExpression: 'attribute_not_exists(id)',
        }));
        return true;
      } catch (error) {
        if (error instanceof ConditionalCheckFailedException) return false;
        throw error;
      }
    },
    send: async (MessageBody) => { await queue.send(new SendMessageCommand({ QueueUrl, MessageBody })); },
  });
`;

/** Builds what the bundle benches compare, in a temporary folder. */
export async function buildAll(): Promise<BuiltBundles> {
  const folder = mkdtempSync(join(tmpdir(), 'simhook-bench-'));
  const built = await buildBundles(join(folder, 'functions'), stageFiles());
  return {
    functions: functionNames.map((name) => ({
      name,
      file: join(built[name].folder, 'index.mjs'),
      bytes: built[name].bytes,
    })),
    naive: await plain(folder, 'receive, plain esbuild', "export * from './functions/receive/handler.ts'"),
    clients: await plain(folder, 'SDK clients alone', clientsSource),
    powertools: await plain(folder, 'Powertools build', powertoolsSource),
    handWritten: await plain(folder, 'hand-written on the SDK', handWrittenSource),
    remove: () => rmSync(folder, { recursive: true, force: true }),
  };
}

/** Each function with the stage that it reads. */
function stageFiles(): StageFiles {
  const receive = receivingStageOf(stageAt('http://127.0.0.1:1'));
  return { receive, decide: localStage, act: localStage, sweep: null, reconcile: localStage };
}

async function plain(folder: string, name: string, contents: string): Promise<BuiltBundle> {
  const outfile = join(folder, name.replaceAll(/\W/g, '-'), 'index.mjs');
  const result = await build({
    absWorkingDir: root,
    stdin: { contents, resolveDir: root, loader: 'ts' },
    outfile,
    bundle: true,
    format: 'esm',
    platform: 'node',
    target: 'node24',
    minify: true,
    metafile: true,
    logLevel: 'error',
    banner: {
      js: "import{createRequire as createRequireOfBundle}from'node:module';const require=createRequireOfBundle(import.meta.url);",
    },
  });
  writeFileSync(join(dirname(outfile), 'stage.json'), JSON.stringify(stageFiles().receive));
  const bytes = Object.values(result.metafile.outputs)[0]?.bytes ?? 0;
  return { name, file: outfile, bytes };
}
