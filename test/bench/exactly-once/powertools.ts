import { setTimeout as sleep } from 'node:timers/promises';
import { IdempotencyConfig, makeIdempotent } from '@aws-lambda-powertools/idempotency';
import { DynamoDBPersistenceLayer } from '@aws-lambda-powertools/idempotency/dynamodb';
import {
  CreateTableCommand,
  DeleteTableCommand,
  DynamoDBClient,
  ScanCommand,
} from '@aws-sdk/client-dynamodb';
import { engineAccess, startDynamoDbLocal } from '../../../infra/local/wire-engines.ts';
import { topology } from '../../../infra/topology.ts';
import { lambdaContext } from '../lambda-context.ts';
import {
  type Approach,
  type Case,
  openProviderWorld,
  type ProviderWorld,
  type Result,
  type Striker,
  striker,
} from './scenario.ts';
import { type OrderMessage, orderMessage, purchase } from './typical-purchase.ts';

/** The function's time limit here: short, so that the bench does not wait long for it to be over. */
const functionTimeoutMs = 250;

const tableName = 'idempotency';

/**
 * Powertools idempotency as its documentation has it: the function that does one message wrapped with makeIdempotent,
 * the message id as the key, the Lambda context registered (so that an interrupted try may be repeated), records in
 * DynamoDB; SQS delivers again, as often as simhook's own queues do, then to a dead-letter queue.
 * Source: Powertools for AWS Lambda (TypeScript), "Idempotency": "Lambda timeouts", "Handling exceptions".
 */
export const powertools: Approach = {
  name: 'Powertools idempotency',
  configuration: `2.35.0, DynamoDB Local, key messageId, context registered, ${topology.queue.receivesMax} deliveries`,
  open: async () => {
    const engine = await startDynamoDbLocal();
    return { run: (what) => runPowertools(what, engine.endpoint), close: () => engine.stop() };
  },
};

interface Setting {
  readonly what: Case;
  readonly world: ProviderWorld;
  readonly fault: Striker;
  readonly client: DynamoDBClient;
  calls: number;
}

async function runPowertools(what: Case, endpoint: string): Promise<Result> {
  const world = await openProviderWorld();
  const client = new DynamoDBClient({ ...engineAccess, endpoint });
  await createTable(client);
  const setting: Setting = { what, world, fault: striker(what.persistence), client, calls: 0 };
  failUpdates(setting);
  const delivered = await deliver(setting);
  const purchases = world.purchases(what.provider);
  const stored = await storedText(client);
  await client.send(new DeleteTableCommand({ TableName: tableName }));
  client.destroy();
  await world.close();
  return {
    purchases: purchases.length,
    recorded: purchases.filter((orderId) => stored.includes(orderId)).length,
    end: delivered ? 'succeeded' : 'dead-letter',
    calls: setting.calls,
    struck: setting.fault.struck,
  };
}

/** Delivers the message until a try succeeds or the queue gives up; true when one succeeded. */
async function deliver(setting: Setting): Promise<boolean> {
  const message = orderMessage(setting.what.provider, 'b3b1e3fd6a6e4e0f8a43');
  for (let receive = 1; receive <= topology.queue.receivesMax; receive++) {
    const ended = Date.now() + functionTimeoutMs;
    if ((await invoke(message, setting)) === 'done') return true;
    // The visibility time-out is longer than the function's own, as the documentation of SQS and Lambda asks.
    await sleep(Math.max(0, ended - Date.now()) + 50);
  }
  return false;
}

/** One invocation in a fresh environment; a function that runs out of time is simply gone. */
async function invoke(message: OrderMessage, setting: Setting): Promise<'done' | 'failed'> {
  const { what, world, fault, client } = setting;
  const died = Promise.withResolvers<'failed'>();
  const place = async (order: OrderMessage): Promise<{ readonly orderId: string }> => {
    setting.calls += 1;
    const bought = await purchase(world.url, order);
    if (what.fault === 'success-not-written' || !fault.strikes()) return bought;
    if (what.fault === 'throws-after-acceptance') throw new Error('the handler broke');
    died.resolve('failed');
    return new Promise(() => undefined);
  };
  const config = new IdempotencyConfig({ eventKeyJmesPath: 'messageId' });
  const started = Date.now();
  config.registerLambdaContext(lambdaContext(() => Math.max(0, started + functionTimeoutMs - Date.now())));
  const persistenceStore = new DynamoDBPersistenceLayer({ tableName, awsSdkV3Client: client });
  const placeOnce = makeIdempotent(place, { persistenceStore, config });
  const finished = placeOnce(message).then(
    () => 'done' as const,
    () => 'failed' as const,
  );
  return Promise.race([finished, died.promise]);
}

/** The success is written with UpdateItem, and only that is. The failure is final: the SDK's own retries are used up. */
function failUpdates({ what, fault, client }: Setting): void {
  if (what.fault !== 'success-not-written') return;
  client.middlewareStack.add(
    (next, context) => async (args) => {
      if (context.commandName === 'UpdateItemCommand' && fault.strikes())
        throw new Error('the store does not answer');
      return next(args);
    },
    { step: 'initialize', name: 'failUpdates' },
  );
}

async function createTable(client: DynamoDBClient): Promise<void> {
  await client.send(
    new CreateTableCommand({
      TableName: tableName,
      BillingMode: 'PAY_PER_REQUEST',
      AttributeDefinitions: [{ AttributeName: 'id', AttributeType: 'S' }],
      KeySchema: [{ AttributeName: 'id', KeyType: 'HASH' }],
    }),
  );
}

async function storedText(client: DynamoDBClient): Promise<string> {
  const { Items } = await client.send(new ScanCommand({ TableName: tableName, ConsistentRead: true }));
  return JSON.stringify(Items ?? []);
}
