import { CfnOutput, RemovalPolicy, Stack, type StackProps, Validations } from 'aws-cdk-lib';
import { AttributeType, Billing, ProjectionType, TableEncryptionV2, TableV2 } from 'aws-cdk-lib/aws-dynamodb';
import { LogGroup, RetentionDays } from 'aws-cdk-lib/aws-logs';
import { CfnSecret } from 'aws-cdk-lib/aws-secretsmanager';
import type { Queue } from 'aws-cdk-lib/aws-sqs';
import type { Construct } from 'constructs';
import type { SecretPurpose } from '../../shared/platform/secret-source.ts';
import { type IndexSchema, tableSchema } from '../../shared/store/table-schema.ts';
import { opsLayout, opsOutputs, secretName } from '../names.ts';
import { topology } from '../topology.ts';
import { deadLetterQueue, QueuePair } from './queue-pair.ts';
import { pascal } from './units.ts';

export interface StateStackProps extends StackProps {
  readonly stageName: string;
  readonly providers: readonly string[];
  /** Functions that have a log group of their own; act has one per provider. */
  readonly functionNames: readonly string[];
}

/** What one provider keeps: its queues and its two secrets. */
export interface ProviderState {
  readonly actions: QueuePair;
  readonly secretArns: Readonly<Record<SecretPurpose, string>>;
}

/**
 * Everything that holds something: the table, queues, secrets, logs. Apart from the functions, so that no deployment
 * of code can replace it. All of it stays when the stack is destroyed.
 *
 * The other stack imports from this one by export, on purpose: taking a provider out of a stage is then refused by
 * CloudFormation ("export is in use") before anything changes, until the functions were deployed without it first
 * (README, "Take a provider out").
 */
export class StateStack extends Stack {
  readonly table: TableV2;
  readonly events: QueuePair;
  readonly scheduleDead: Queue;
  readonly providers: ReadonlyMap<string, ProviderState>;
  readonly logs: ReadonlyMap<string, LogGroup>;

  constructor(scope: Construct, id: string, props: StateStackProps) {
    super(scope, id, props);
    this.table = this.makeTable(props.stageName);
    this.events = new QueuePair(this, 'Events', { visibility: topology.queue.eventsVisibility });
    this.scheduleDead = deadLetterQueue(this, 'ScheduleDead');
    Validations.of(this.scheduleDead).acknowledge({
      id: 'AwsSolutions-SQS3',
      reason: 'This is a dead-letter queue: that of the schedules, which the rule does not look for.',
    });
    this.providers = new Map(
      props.providers.map((provider) => [provider, this.makeProvider(props.stageName, provider)]),
    );
    const logged = ['api', ...props.functionNames];
    this.logs = new Map(logged.map((name) => [name, this.makeLogs(name)]));
    this.addOpsOutputs();
  }

  /**
   * The name is fixed: CloudFormation then refuses any change that would replace the table, instead of making an
   * empty one. AWS's own key of the account: nobody can lose or disable it, and access hangs on IAM alone.
   */
  private makeTable(stageName: string): TableV2 {
    const { partitionKey, sortKey, indexes, timeToLiveAttribute } = tableSchema;
    return new TableV2(this, 'Table', {
      tableName: `simhook-${stageName}`,
      partitionKey: attribute(partitionKey),
      sortKey: attribute(sortKey),
      billing: Billing.onDemand(),
      encryption: TableEncryptionV2.awsManagedKey(),
      pointInTimeRecoverySpecification: { pointInTimeRecoveryEnabled: true },
      timeToLiveAttribute,
      deletionProtection: true,
      removalPolicy: RemovalPolicy.RETAIN,
      globalSecondaryIndexes: indexes.map((index) => ({
        indexName: index.name,
        partitionKey: attribute(index.partitionKey),
        sortKey: attribute(index.sortKey),
        projectionType: ProjectionType[index.projection],
      })),
    });
  }

  private makeProvider(stageName: string, provider: string): ProviderState {
    return {
      actions: new QueuePair(this, `Actions${pascal(provider)}`, {
        visibility: topology.queue.actionsVisibility,
      }),
      secretArns: {
        callback: this.makeSecret(stageName, provider, 'callback'),
        api: this.makeSecret(stageName, provider, 'api'),
      },
    };
  }

  /**
   * An empty shell: neither a value nor a generated one. A value here would be in the template, and a generated one
   * could be taken for a key. The functions refuse to work until `npx simhook secrets set` wrote a real one.
   */
  private makeSecret(stageName: string, provider: string, purpose: SecretPurpose): string {
    const secret = new CfnSecret(this, `Secret${pascal(provider)}${pascal(purpose)}`, {
      name: secretName(stageName, provider, purpose),
      description: `Keys of ${provider}: ${purpose === 'callback' ? 'callbacks are verified' : 'calls are signed'} with them. Set by: npx simhook secrets set`,
    });
    secret.applyRemovalPolicy(RemovalPolicy.RETAIN);
    Validations.of(secret).acknowledge({
      id: 'AwsSolutions-SMG4',
      reason:
        'The provider issues these keys in its own console, so that no Lambda can rotate them. Two or more live keys make a rotation by hand free of loss.',
    });
    return secret.ref;
  }

  /** How `npx simhook --stage` finds everything (infra/ops/cloudformation-stage.ts). */
  private addOpsOutputs(): void {
    new CfnOutput(this, opsOutputs.layout, {
      description: 'Shape of the outputs that npx simhook --stage reads',
      value: opsLayout,
    });
    new CfnOutput(this, opsOutputs.table, { description: 'The table', value: this.table.tableName });
    const pairs = [
      ['events', this.events] as const,
      ...[...this.providers].map(([provider, { actions }]) => [`actions-${provider}`, actions] as const),
    ];
    for (const [name, { queue, dead }] of pairs) {
      new CfnOutput(this, `${opsOutputs.queue}${pascal(name)}`, {
        description: `The queue ${name} and its dead letters`,
        value: this.toJsonString({ queue: name, url: queue.queueUrl, deadLetters: dead.queueUrl }),
      });
    }
  }

  private makeLogs(name: string): LogGroup {
    return new LogGroup(this, `Logs${pascal(name)}`, {
      retention: retentionOf(topology.logs.retention / 86_400_000),
      removalPolicy: RemovalPolicy.RETAIN,
    });
  }
}

function attribute(key: IndexSchema['partitionKey' | 'sortKey']) {
  return { name: key.name, type: key.type === 'N' ? AttributeType.NUMBER : AttributeType.STRING };
}

/** CloudWatch knows certain numbers of days only. */
function retentionOf(daysKept: number): RetentionDays {
  if (RetentionDays[daysKept] !== undefined) return daysKept;
  throw new Error(
    `infra/topology.ts: logs.retention is ${daysKept} days, which CloudWatch Logs does not offer`,
  );
}
