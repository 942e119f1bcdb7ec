import { Stack, type StackProps } from 'aws-cdk-lib';
import { Policy, PolicyStatement, Role, ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import { EventSourceMapping } from 'aws-cdk-lib/aws-lambda';
import {
  ContextAttribute,
  Schedule,
  ScheduleExpression,
  ScheduleTargetInput,
} from 'aws-cdk-lib/aws-scheduler';
import { LambdaInvoke } from 'aws-cdk-lib/aws-scheduler-targets';
import type { Construct } from 'constructs';
import type { z } from 'zod';
import type { envSchema as actEnv } from '../../functions/act/env.ts';
import type { envSchema as decideEnv } from '../../functions/decide/env.ts';
import type { envSchema as receiveEnv } from '../../functions/receive/env.ts';
import type { envSchema as reconcileEnv } from '../../functions/reconcile/env.ts';
import type { envSchema as sweepEnv } from '../../functions/sweep/env.ts';
import { type DurationMs, minutes } from '../../shared/core/time.ts';
import type { Stage } from '../../shared/policy/stage.ts';
import { topology } from '../topology.ts';
import { addAlarms } from './alarms.ts';
import type { Bundle, FunctionName } from './bundles.ts';
import { CallbackApi } from './callback-api.ts';
import { addDashboard } from './dashboard.ts';
import type { Deployment } from './deployment.ts';
import type { QueuePair } from './queue-pair.ts';
import { requireSecrets } from './required-secrets.ts';
import type { ProviderState, StateStack } from './state-stack.ts';
import { pascal, toDuration } from './units.ts';
import { type Grant, WorkFunction } from './work-function.ts';

export interface ServiceStackProps extends StackProps {
  readonly state: StateStack;
  readonly stage: Stage;
  readonly deployment: Deployment;
  readonly bundles: Readonly<Record<FunctionName, Bundle>>;
  /** Providers that simhook knows and the stage does not have. */
  readonly absentProviders: readonly string[];
}

/** Log groups that the functions of a stage need: one each, and one per provider for those that call providers. */
export function functionLogNames(providers: readonly string[]): readonly string[] {
  return ['receive', 'decide', 'sweep', ...providers.map(actName), ...providers.map(reconcileName)];
}

export const actName = (provider: string): string => `act-${provider}`;
export const reconcileName = (provider: string): string => `reconcile-${provider}`;

/** Everything that runs and holds nothing: functions, API, schedules, alarms, dashboard. May be replaced at any time. */
export class ServiceStack extends Stack {
  readonly receive: WorkFunction;
  readonly decide: WorkFunction;
  readonly sweep: WorkFunction;
  /** By provider. */
  readonly act: ReadonlyMap<string, WorkFunction>;
  /** By provider. */
  readonly reconcile: ReadonlyMap<string, WorkFunction>;
  readonly callbackApi: CallbackApi;
  private readonly props: ServiceStackProps;

  constructor(scope: Construct, id: string, props: ServiceStackProps) {
    super(scope, id, props);
    this.props = props;
    const { state, stage, deployment } = props;
    requireSecrets(this, stage);
    this.receive = this.makeReceive();
    this.decide = this.makeDecide();
    this.act = new Map(
      [...state.providers].map(([provider, its]) => [provider, this.makeAct(provider, its)]),
    );
    this.sweep = this.makeSweep();
    this.runEvery('Sweep', this.sweep, topology.sweep.every);
    this.reconcile = new Map(
      [...state.providers].map(([provider, its]) => [provider, this.makeReconcile(provider, its)]),
    );
    for (const [provider, reconcile] of this.reconcile)
      this.runEvery(`Reconcile${pascal(provider)}`, reconcile, topology.reconcile.every);
    this.callbackApi = new CallbackApi(this, 'Callbacks', {
      receive: this.receive.fn,
      providers: stage.providers,
      domain: deployment.domain,
      accessLogs: this.logsOf('api'),
    });
    addAlarms(this, { ...props, service: this });
    addDashboard(this, { ...props, service: this });
  }

  /** Puts events and evidence, sends to one queue, reads callback secrets. It can't touch an action or money. */
  private makeReceive(): WorkFunction {
    const { state } = this.props;
    const callbackSecrets = [...state.providers].map(
      ([provider, its]) => [provider, its.secretArns.callback] as const,
    );
    return new WorkFunction(this, 'Receive', {
      description: 'simhook: verifies, stores and queues callbacks',
      bundle: this.props.bundles.receive,
      ...topology.receive,
      environment: {
        TABLE_NAME: state.table.tableName,
        EVENTS_QUEUE_URL: state.events.queue.queueUrl,
        CALLBACK_SECRET_IDS: this.toJsonString(Object.fromEntries(callbackSecrets)),
      } satisfies z.input<typeof receiveEnv>,
      logs: this.logsOf('receive'),
      runsOften: true,
      grants: [
        inTable(state, ['dynamodb:PutItem'], ['EVENT#*', 'CALLBACK#*', 'QUARANTINE#*']),
        inTable(state, ['dynamodb:GetItem', 'dynamodb:UpdateItem'], ['QUARANTINE#*']),
        send(state.events),
        { actions: ['secretsmanager:GetSecretValue'], resources: callbackSecrets.map(([, arn]) => arn) },
      ],
    });
  }

  private makeDecide(): WorkFunction {
    const { state, bundles } = this.props;
    const decide = new WorkFunction(this, 'Decide', {
      description: 'simhook: judges events by the rules',
      bundle: bundles.decide,
      ...topology.decide,
      environment: {
        TABLE_NAME: state.table.tableName,
        EVENTS_QUEUE_URL: state.events.queue.queueUrl,
        ACTIONS_QUEUE_URLS: this.actionsQueueUrls(),
      } satisfies z.input<typeof decideEnv>,
      logs: this.logsOf('decide'),
      runsOften: true,
      grants: [
        {
          actions: ['dynamodb:BatchGetItem', 'dynamodb:GetItem', 'dynamodb:PutItem'],
          resources: [state.table.tableArn],
        },
        send(state.events, ...[...state.providers.values()].map(({ actions }) => actions)),
        consume(state.events),
      ],
    });
    this.feed(decide, state.events, topology.decide);
    return decide;
  }

  /** One per provider: its own queue, its own secret, so that one provider's outage or leak stays its own. */
  private makeAct(provider: string, its: ProviderState): WorkFunction {
    const { state, bundles } = this.props;
    const act = new WorkFunction(this, `Act${pascal(provider)}`, {
      description: `simhook: calls ${provider}`,
      bundle: bundles.act,
      ...topology.act,
      environment: {
        TABLE_NAME: state.table.tableName,
        PROVIDER: provider,
        ACTIONS_QUEUE_URL: its.actions.queue.queueUrl,
        API_SECRET_ID: its.secretArns.api,
        LEASE_MS: String(topology.lease.duration),
        START_WITHIN_MS: String(topology.lease.startWithin),
      } satisfies z.input<typeof actEnv>,
      logs: this.logsOf(actName(provider)),
      runsOften: true,
      grants: [
        {
          actions: ['dynamodb:BatchGetItem', 'dynamodb:GetItem', 'dynamodb:PutItem', 'dynamodb:UpdateItem'],
          resources: [state.table.tableArn],
        },
        { actions: ['dynamodb:Query'], resources: [`${state.table.tableArn}/index/sim`] },
        send(its.actions),
        consume(its.actions),
        { actions: ['secretsmanager:GetSecretValue'], resources: [its.secretArns.api] },
      ],
    });
    this.feed(act, its.actions, topology.act);
    return act;
  }

  private makeSweep(): WorkFunction {
    const { state, stage, bundles, absentProviders } = this.props;
    return new WorkFunction(this, 'Sweep', {
      description: 'simhook: queues again what is due or got stuck',
      bundle: bundles.sweep,
      ...topology.sweep,
      environment: {
        TABLE_NAME: state.table.tableName,
        STAGE_NAME: stage.name,
        EVENTS_QUEUE_URL: state.events.queue.queueUrl,
        ACTIONS_QUEUE_URLS: this.actionsQueueUrls(),
        ABSENT_PROVIDERS: JSON.stringify(absentProviders),
      } satisfies z.input<typeof sweepEnv>,
      logs: this.logsOf('sweep'),
      runsOften: false,
      grants: [
        { actions: ['dynamodb:BatchGetItem', 'dynamodb:PutItem'], resources: [state.table.tableArn] },
        {
          actions: ['dynamodb:Query'],
          resources: [`${state.table.tableArn}/index/due`, `${state.table.tableArn}/index/time`],
        },
        send(state.events, ...[...state.providers.values()].map(({ actions }) => actions)),
      ],
    });
  }

  /** One per provider, as with act: whoever reads one provider's records can't read another's secret. */
  private makeReconcile(provider: string, its: ProviderState): WorkFunction {
    const { state, bundles } = this.props;
    const { tableArn, tableName } = state.table;
    return new WorkFunction(this, `Reconcile${pascal(provider)}`, {
      description: `simhook: compares the records of ${provider} with the ledger`,
      bundle: bundles.reconcile,
      ...topology.reconcile,
      environment: {
        TABLE_NAME: tableName,
        EVENTS_QUEUE_URL: state.events.queue.queueUrl,
        API_SECRET_IDS: this.toJsonString({ [provider]: its.secretArns.api }),
      } satisfies z.input<typeof reconcileEnv>,
      logs: this.logsOf(reconcileName(provider)),
      runsOften: false,
      grants: [
        {
          actions: ['dynamodb:BatchGetItem', 'dynamodb:GetItem', 'dynamodb:PutItem', 'dynamodb:UpdateItem'],
          resources: [tableArn],
        },
        { actions: ['dynamodb:Query'], resources: [`${tableArn}/index/sim`, `${tableArn}/index/time`] },
        send(state.events),
        { actions: ['secretsmanager:GetSecretValue'], resources: [its.secretArns.api] },
      ],
    });
  }

  /** Runs a function on a schedule. A run that fails is not repeated: the next one does the same. */
  private runEvery(id: string, { fn }: WorkFunction, every: DurationMs): void {
    const { scheduleDead } = this.props.state;
    fn.configureAsyncInvoke({ retryAttempts: 0, maxEventAge: toDuration(minutes(1)) });
    const role = new Role(this, `${id}ScheduleRole`, {
      assumedBy: new ServicePrincipal('scheduler.amazonaws.com', {
        conditions: { StringEquals: { 'aws:SourceAccount': this.account } },
      }),
    });
    // By hand, since CDK's own grant takes every version of the function along.
    const rights = new Policy(this, `${id}ScheduleRights`, {
      roles: [role],
      statements: [
        new PolicyStatement({ actions: ['lambda:InvokeFunction'], resources: [fn.functionArn] }),
        new PolicyStatement({ actions: ['sqs:SendMessage'], resources: [scheduleDead.queueArn] }),
      ],
    });
    const schedule = new Schedule(this, `${id}Schedule`, {
      description: `simhook: runs ${id.toLowerCase()}`,
      schedule: ScheduleExpression.rate(toDuration(every)),
      target: new LambdaInvoke(fn, {
        input: ScheduleTargetInput.fromObject({
          schedule: ContextAttribute.scheduleArn,
          scheduledAt: ContextAttribute.scheduledTime,
        }),
        role: role.withoutPolicyUpdates(),
        deadLetterQueue: scheduleDead,
        retryAttempts: 2,
        maxEventAge: toDuration(minutes(1)),
      }),
    });
    schedule.node.addDependency(rights);
  }

  private feed(
    worker: WorkFunction,
    { queue }: QueuePair,
    numbers: { readonly batchSize: number; readonly concurrencyMax: number },
  ): void {
    new EventSourceMapping(worker, 'Feed', {
      target: worker.fn,
      eventSourceArn: queue.queueArn,
      batchSize: numbers.batchSize,
      maxConcurrency: numbers.concurrencyMax,
      reportBatchItemFailures: true,
    });
  }

  private actionsQueueUrls(): string {
    const urls = [...this.props.state.providers].map(([provider, { actions }]) => [
      provider,
      actions.queue.queueUrl,
    ]);
    return this.toJsonString(Object.fromEntries(urls));
  }

  private logsOf(name: string) {
    const logs = this.props.state.logs.get(name);
    if (logs === undefined) throw new Error(`the state stack made no log group "${name}"`);
    return logs;
  }
}

/** Calls on items whose partition key fits one of the patterns. Keys as in shared/store/item-layout.ts. */
const inTable = ({ table }: StateStack, actions: readonly string[], keys: readonly string[]): Grant => ({
  actions,
  resources: [table.tableArn],
  conditions: { 'ForAllValues:StringLike': { 'dynamodb:LeadingKeys': keys } },
});

const send = (...pairs: readonly QueuePair[]): Grant => ({
  actions: ['sqs:SendMessage'],
  resources: pairs.map(({ queue }) => queue.queueArn),
});

/** What Lambda's poller does in the function's name. Source: Lambda developer guide, "Using Lambda with Amazon SQS", permissions. */
const consume = ({ queue }: QueuePair): Grant => ({
  actions: ['sqs:ReceiveMessage', 'sqs:DeleteMessage', 'sqs:GetQueueAttributes'],
  resources: [queue.queueArn],
});
