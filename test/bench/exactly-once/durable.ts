import {
  type DurableContext,
  type DurableExecutionClient,
  DurableExecutionInvocationInputWithClient,
  type DurableLambdaHandler,
  OperationAction,
  OperationStatus,
  retryPresets,
  type StepConfig,
  StepSemantics,
  withDurableExecution,
} from '@aws/durable-execution-sdk-js';
import { LocalDurableTestRunner } from '@aws/durable-execution-sdk-js-testing';
import {
  type Approach,
  type Case,
  openProviderWorld,
  type ProviderWorld,
  type Result,
  type Striker,
  striker,
} from './scenario.ts';
import { orderMessage, purchase } from './typical-purchase.ts';

/**
 * Invocations of one execution that may die before the watch is given up. Lambda itself repeats an invocation that died until the execution
 * times out, which may be a year. Source: README of @aws/durable-execution-sdk-js 2.4.0, "Custom Transport".
 */
const deathsMax = 8;

type BuyConfig = StepConfig<{ readonly orderId: string }>;

function durable(name: string, configuration: string, config: BuyConfig | undefined): Approach {
  return {
    name,
    configuration: `SDK 2.4.0, local test runner, ${configuration}`,
    open: async () => {
      await LocalDurableTestRunner.setupTestEnvironment({ skipTime: true });
      return {
        run: (what) => runDurable(what, config),
        close: () => LocalDurableTestRunner.teardownTestEnvironment(),
      };
    },
  };
}

/** As the quick start has it: a step without options. */
export const durableDefault = durable(
  'Durable execution, default step',
  'at least once, 6 attempts',
  undefined,
);

/** As the README's "Step Semantics" has it, with the default retries left on. */
export const durableAtMostOnce = durable(
  'Durable execution, at-most-once step',
  'at most once per retry, 6 attempts',
  { semantics: StepSemantics.AtMostOncePerRetry },
);

/** As the README advises for "calls that cannot tolerate duplicates". */
export const durableNoRetry = durable(
  'Durable execution, at-most-once step, no retry',
  'at most once per retry, 1 attempt',
  { semantics: StepSemantics.AtMostOncePerRetry, retryStrategy: retryPresets.noRetry },
);

interface Setting {
  readonly what: Case;
  readonly world: ProviderWorld;
  readonly fault: Striker;
  calls: number;
  died: PromiseWithResolvers<never>;
  deaths: number;
  /** Steps whose latest attempt has begun and not ended. */
  readonly started: Set<string>;
  /** The text of all that the service stores about the execution. */
  stored: string;
}

async function runDurable(what: Case, config: BuyConfig | undefined): Promise<Result> {
  const world = await openProviderWorld();
  const setting: Setting = {
    what,
    world,
    fault: striker(what.persistence),
    calls: 0,
    died: Promise.withResolvers(),
    deaths: 0,
    started: new Set(),
    stored: '',
  };
  const handler = withDurableExecution(async (_event: unknown, context: DurableContext) =>
    context.step('buy', () => buy(setting), config),
  );
  const runner = new LocalDurableTestRunner({ handlerFunction: reinvoking(handler, setting) });
  const status = await runner.run({ payload: {} }).then(
    (execution) => execution.getStatus(),
    () => 'RUNNING' as const,
  );
  const purchases = world.purchases(what.provider);
  await world.close();
  return {
    purchases: purchases.length,
    recorded: purchases.filter((orderId) => setting.stored.includes(orderId)).length,
    end: status === 'SUCCEEDED' ? 'succeeded' : status === 'RUNNING' ? 'stuck' : 'failed',
    calls: setting.calls,
    struck: setting.fault.struck,
  };
}

/** What the step runs: the same paid call as everywhere. */
async function buy(setting: Setting): Promise<{ readonly orderId: string }> {
  const { what, world, fault } = setting;
  setting.calls += 1;
  const bought = await purchase(world.url, orderMessage(what.provider, 'b3b1e3fd6a6e4e0f8a43'));
  if (what.fault === 'success-not-written' || !fault.strikes()) return bought;
  if (what.fault === 'throws-after-acceptance') throw new Error('the handler broke');
  setting.died.reject(new Error('the function ran out of time'));
  return new Promise(() => undefined);
}

/**
 * Lambda's part that the local runner leaves out: an invocation that dies is repeated with the state that the service
 * has by then.
 */
function reinvoking(handler: DurableLambdaHandler, setting: Setting): DurableLambdaHandler {
  return async (event, context) => {
    if (!DurableExecutionInvocationInputWithClient.isInstance(event))
      throw new Error('this is no event of the local runner');
    const client = watchedClient(event.durableExecutionClient, setting);
    let state = event.InitialExecutionState;
    for (;;) {
      setting.died = Promise.withResolvers();
      setting.died.promise.catch(() => undefined);
      const input = new DurableExecutionInvocationInputWithClient(
        { ...event, InitialExecutionState: state },
        client,
      );
      try {
        return await Promise.race([handler(input, context), setting.died.promise]);
      } catch (error) {
        setting.deaths += 1;
        if (setting.deaths >= deathsMax) throw error;
      } finally {
        state = await readState(event, client, setting);
      }
    }
  };
}

/**
 * The local service forgets that a second attempt has begun, which the at-most-once semantics rest on; the real one
 * stores it as STARTED, so that is put back here.
 */
async function readState(
  event: { readonly DurableExecutionArn: string; readonly CheckpointToken: string },
  client: DurableExecutionClient,
  setting: Setting,
) {
  const { DurableExecutionArn, CheckpointToken } = event;
  const { Operations = [] } = await client.getExecutionState({
    DurableExecutionArn,
    CheckpointToken,
    Marker: '',
  });
  setting.stored = JSON.stringify(Operations);
  const begun = Operations.map((operation) =>
    setting.started.has(operation.Id ?? '') ? { ...operation, Status: OperationStatus.STARTED } : operation,
  );
  return { Operations: begun, NextMarker: '' };
}

/** Notes which attempts have begun, and refuses the checkpoint that would record the step's success. */
function watchedClient(client: DurableExecutionClient, setting: Setting): DurableExecutionClient {
  const { what, fault, started } = setting;
  return {
    getExecutionState: (params) => client.getExecutionState(params),
    checkpoint: async (params) => {
      const updates = params.Updates ?? [];
      const succeeds = updates.some(({ Action }) => Action === OperationAction.SUCCEED);
      if (what.fault === 'success-not-written' && succeeds && fault.strikes())
        throw new Error('the service does not answer');
      const answer = await client.checkpoint(params);
      for (const { Id = '', Action } of updates) {
        if (Action === OperationAction.START) started.add(Id);
        else started.delete(Id);
      }
      return answer;
    },
  };
}
