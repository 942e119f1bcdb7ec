import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { App } from 'aws-cdk-lib';
import { Match } from 'aws-cdk-lib/assertions';
import { CfnQueue, Queue } from 'aws-cdk-lib/aws-sqs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { makeApp } from '../../infra/aws/simhook-app.ts';
import { checkDeployable, loadStage } from '../../infra/aws/stage-file.ts';
import { secretMarkOf } from '../../infra/names.ts';
import { findDeployed } from '../../infra/ops/cloudformation-stage.ts';
import production from '../../infra/stages/production.ts';
import { topology } from '../../infra/topology.ts';
import { metricNamespace } from '../../shared/platform/metrics.ts';
import { tableSchema } from '../../shared/store/table-schema.ts';
import { startControlPlane } from '../support/aws-control-plane.ts';
import { resolver } from './deployed-world.ts';
import { cdkContext, offline, ofType, resourcesOf, type Synthesized, synthesize } from './synthesized.ts';

let made: Synthesized;
beforeAll(async () => {
  made = await synthesize();
}, 120_000);
afterAll(() => made?.remove());

const providerIds = Object.keys(production.providers);
const idsOfProviders = ['Eiotclub', 'LinksfieldCsss', 'LinksfieldCube'];
const sec = (ms: number): number => ms / 1_000;

describe('the table', () => {
  it('has the keys, indexes and expiry of the schema, is recoverable, protected and kept', () => {
    const keyOf = (name: string, KeyType: string) => ({ AttributeName: name, KeyType });
    made.templates.state.hasResource('AWS::DynamoDB::GlobalTable', {
      DeletionPolicy: 'Retain',
      UpdateReplacePolicy: 'Retain',
      Properties: {
        TableName: 'simhook-production',
        BillingMode: 'PAY_PER_REQUEST',
        KeySchema: [keyOf(tableSchema.partitionKey.name, 'HASH'), keyOf(tableSchema.sortKey.name, 'RANGE')],
        GlobalSecondaryIndexes: tableSchema.indexes.map((index) => ({
          IndexName: index.name,
          KeySchema: [keyOf(index.partitionKey.name, 'HASH'), keyOf(index.sortKey.name, 'RANGE')],
          Projection: { ProjectionType: index.projection },
        })),
        TimeToLiveSpecification: { AttributeName: tableSchema.timeToLiveAttribute, Enabled: true },
        SSESpecification: { SSEEnabled: true, SSEType: 'KMS' },
        Replicas: [
          Match.objectLike({
            DeletionProtectionEnabled: true,
            PointInTimeRecoverySpecification: { PointInTimeRecoveryEnabled: true },
          }),
        ],
      },
    });
  });

  it('types every key attribute as the schema does', () => {
    const [table] = ofType(made.texts.state, 'AWS::DynamoDB::GlobalTable').values();
    const defined = z
      .array(z.object({ AttributeName: z.string(), AttributeType: z.string() }))
      .parse(table?.Properties.AttributeDefinitions);
    const wanted = [tableSchema, ...tableSchema.indexes].flatMap(({ partitionKey, sortKey }) => [
      partitionKey,
      sortKey,
    ]);
    expect(new Map(defined.map((a) => [a.AttributeName, a.AttributeType]))).toEqual(
      new Map(wanted.map(({ name, type }) => [name, type])),
    );
  });
});

describe('what holds something', () => {
  // A changed id makes CloudFormation throw the old thing out and make an empty one. Never change this list to make
  // the test pass: give the construct its old id back.
  it('has the logical ids that it always had', () => {
    const stateful = [
      'AWS::DynamoDB::GlobalTable',
      'AWS::SQS::Queue',
      'AWS::SecretsManager::Secret',
      'AWS::Logs::LogGroup',
    ];
    const ids = [...resourcesOf(made.texts.state)]
      .filter(([, { Type }]) => stateful.includes(Type))
      .map(([id]) => id);
    expect(ids.sort()).toEqual([
      'ActionsEiotclubDead0294F13D',
      'ActionsEiotclubQueueD355A141',
      'ActionsLinksfieldCsssDead5962D73A',
      'ActionsLinksfieldCsssQueue7AC1C200',
      'ActionsLinksfieldCubeDead989D7640',
      'ActionsLinksfieldCubeQueue4CFD03FD',
      'EventsDead8436A46E',
      'EventsQueue7396B467',
      'LogsActEiotclubED9BC410',
      'LogsActLinksfieldCsssE6AF6804',
      'LogsActLinksfieldCube44B2967F',
      'LogsApi160DC9DD',
      'LogsDecide25F235C9',
      'LogsReceive80926F40',
      'LogsReconcileEiotclub9871784C',
      'LogsReconcileLinksfieldCsssAB5765E5',
      'LogsReconcileLinksfieldCubeED49DC34',
      'LogsSweepBCC9CB6B',
      'ScheduleDeadCC854853',
      'SecretEiotclubApi',
      'SecretEiotclubCallback',
      'SecretLinksfieldCsssApi',
      'SecretLinksfieldCsssCallback',
      'SecretLinksfieldCubeApi',
      'SecretLinksfieldCubeCallback',
      'TableCD117FA1',
    ]);
    expect([made.state.stackName, made.service.stackName]).toEqual([
      'simhook-production-state',
      'simhook-production',
    ]);
  });

  it('stands in the state stack alone and outlives it', () => {
    for (const [id, { Type, DeletionPolicy, UpdateReplacePolicy }] of resourcesOf(made.texts.state)) {
      if (Type === 'AWS::SQS::QueuePolicy') continue;
      expect([id, DeletionPolicy, UpdateReplacePolicy]).toEqual([id, 'Retain', 'Retain']);
    }
    const held = /DynamoDB|SQS|SecretsManager|Logs::LogGroup|KMS/;
    expect(
      [...resourcesOf(made.texts.service).values()].map(({ Type }) => Type).filter((t) => held.test(t)),
    ).toEqual([]);
    expect(made.state.terminationProtection).toBe(true);
  });

  it('is exported and imported, so that a provider can’t be taken out of the stage in one step', () => {
    for (const provider of providerIds) {
      const id = provider.replace(/(^|-)([a-z])/g, (_m, _dash, letter: string) => letter.toUpperCase());
      expect(made.texts.service).toMatch(new RegExp(`Fn::ImportValue": "[^"]*Actions${id}Queue`));
      expect(made.texts.state).toMatch(new RegExp(`"Name": "[^"]*Actions${id}Queue`));
    }
  });
});

describe('secrets', () => {
  it('are empty shells by a name that the command line knows: no value, no generated one', () => {
    const secrets = [...ofType(made.texts.state, 'AWS::SecretsManager::Secret').values()];
    expect(secrets.map(({ Properties }) => Properties.Name).sort()).toEqual(
      providerIds
        .flatMap((id) => [`simhook/production/${id}/api`, `simhook/production/${id}/callback`])
        .sort(),
    );
    for (const { Properties } of secrets)
      expect(Object.keys(Properties).sort()).toEqual(['Description', 'Name', 'Tags']);
  });

  it('must all be marked as set before CloudFormation touches the service, and never enter the template', () => {
    const marks = requiredMarks(made.texts.service);
    expect(marks.map(({ name }) => name).sort()).toEqual(
      providerIds
        .flatMap((id) => [`/simhook/production/${id}/api`, `/simhook/production/${id}/callback`])
        .sort(),
    );
    expect(JSON.stringify([...resourcesOf(made.texts.service)])).not.toContain('RequiresSecret');
    expect(made.texts.service + made.texts.state).not.toMatch(/resolve:(secretsmanager|ssm)/);
  });

  const cases: readonly [string, Parameters<typeof secretMarkOf>[0], readonly string[]][] = [
    ['nothing', null, []],
    ['a key', { keys: [{ keyId: null, value: 'k' }], pathToken: null }, ['signed callbacks', 'calls']],
    ['a path token', { keys: [], pathToken: 'a-token-of-20-letters' }, ['unsigned callbacks']],
    [
      'both',
      { keys: [{ keyId: null, value: 'k' }], pathToken: 'a-token-of-20-letters' },
      ['signed callbacks', 'unsigned callbacks', 'calls'],
    ],
  ];
  it.each(cases)('that hold %s are enough for what they can be used for', (_what, value, enough) => {
    for (const { name, accepted, says } of requiredMarks(made.texts.service)) {
      const purpose = name.endsWith('/api') ? 'api' : 'callback';
      const use =
        purpose === 'api' ? 'calls' : name.includes('csss') ? 'unsigned callbacks' : 'signed callbacks';
      const mark = secretMarkOf(value, purpose);
      expect([name, use, mark !== null && accepted.includes(mark)]).toEqual([
        name,
        use,
        enough.includes(use),
      ]);
      expect(says).toMatch(
        /npx simhook secrets set --stage production --provider [a-z-]+ --purpose (api|callback)/,
      );
    }
  });
});

/** The marks that a template asks for, each with the words that its rule accepts. */
function requiredMarks(text: string) {
  const { Parameters, Rules } = z
    .object({
      Parameters: z.record(z.string(), z.object({ Type: z.string(), Default: z.string() })),
      Rules: z.record(
        z.string(),
        z.object({
          Assertions: z.array(z.object({ Assert: z.unknown(), AssertDescription: z.string() })).length(1),
        }),
      ),
    })
    .parse(JSON.parse(text));
  const contains = z.object({
    'Fn::Contains': z.tuple([z.array(z.string()), z.object({ Ref: z.string() })]),
  });
  return Object.entries(Parameters)
    .filter(([id]) => id !== 'BootstrapVersion')
    .map(([id, { Type, Default }]) => {
      expect(Type).toBe('AWS::SSM::Parameter::Value<String>');
      const rules = Object.values(Rules).flatMap(({ Assertions: [rule] }) => {
        const parsed = contains.safeParse(rule?.Assert);
        if (!parsed.success || rule === undefined) return [];
        const [accepted, { Ref }] = parsed.data['Fn::Contains'];
        return Ref === id ? [{ accepted, says: rule.AssertDescription }] : [];
      });
      const [rule] = rules;
      if (rule === undefined || rules.length > 1) throw new Error(`${id} has ${rules.length} rules`);
      return { name: Default, ...rule };
    });
}

describe('outputs', () => {
  it('are those by which the command line finds the table, each queue and its dead letters', async () => {
    const plane = await startControlPlane('eu-central-1');
    try {
      const urlOf = (id: string) =>
        id.startsWith('Table') ? 'simhook-production' : `https://sqs.example/${id}`;
      const resolve = resolver(made, { ref: urlOf, arn: (id) => `arn:${id}` });
      const { Outputs } = z
        .object({ Outputs: z.record(z.string(), z.object({ Value: z.unknown() })) })
        .parse(JSON.parse(made.texts.state));
      const ours = Object.entries(Outputs).filter(([key]) => key.startsWith('Ops'));
      plane.stacks.set(made.state.stackName, {
        status: 'CREATE_COMPLETE',
        outputs: Object.fromEntries(ours.map(([key, { Value }]) => [key, resolve(Value)])),
      });
      const found = await findDeployed('production', {
        account: '111122223333',
        region: 'eu-central-1',
        endpoint: plane.endpoint,
      });
      const names = ['events', ...providerIds.map((id) => `actions-${id}`)];
      expect(found).toMatchObject({ table: 'simhook-production', region: 'eu-central-1' });
      expect([...found.queues.keys()].sort()).toEqual(names.sort());
      for (const name of names) {
        const id = name.replace(/(^|-)([a-z])/g, (_m, _dash, letter: string) => letter.toUpperCase());
        expect(found.queues.get(name)).toMatch(new RegExp(`/${id}Queue[0-9A-F]{8}$`));
        expect(found.deadLetters.get(name)).toMatch(new RegExp(`/${id}Dead[0-9A-F]{8}$`));
      }
    } finally {
      await plane.stop();
    }
  });
});

describe('queues', () => {
  const queues = () => ofType(made.texts.state, 'AWS::SQS::Queue');

  it('are encrypted, and their policies refuse what comes without TLS', () => {
    const denied = [...ofType(made.texts.state, 'AWS::SQS::QueuePolicy').values()].map(({ Properties }) => {
      expect(Properties.PolicyDocument).toMatchObject({
        Statement: [
          {
            Action: 'sqs:*',
            Effect: 'Deny',
            Principal: { AWS: '*' },
            Condition: { Bool: { 'aws:SecureTransport': 'false' } },
          },
        ],
      });
      return z.array(z.object({ Ref: z.string() })).parse(Properties.Queues)[0]?.Ref;
    });
    expect(denied.sort()).toEqual([...queues().keys()].sort());
    for (const { Properties } of queues().values()) expect(Properties.SqsManagedSseEnabled).toBe(true);
  });

  it('have the topology’s times, and a dead-letter queue that keeps for 14 days', () => {
    const works = [...queues()].filter(([id]) => /Queue/.test(id));
    expect(works).toHaveLength(providerIds.length + 1);
    for (const [id, { Properties }] of works) {
      expect([id, Properties]).toMatchObject([
        id,
        {
          VisibilityTimeout: sec(
            id.startsWith('Events') ? topology.queue.eventsVisibility : topology.queue.actionsVisibility,
          ),
          MessageRetentionPeriod: sec(topology.queue.retention),
          RedrivePolicy: { maxReceiveCount: topology.queue.receivesMax },
        },
      ]);
      expect(JSON.stringify(Properties.RedrivePolicy)).toContain(id.replace(/Queue.*/, 'Dead'));
      expect(Properties.FifoQueue).toBeUndefined();
    }
    for (const [id, { Properties }] of queues()) {
      if (/Dead/.test(id)) expect(Properties.MessageRetentionPeriod).toBe(14 * 86_400);
    }
  });
});

describe('functions', () => {
  const functions = () => ofType(made.texts.service, 'AWS::Lambda::Function');

  it('run on Node 24, arm64, with JSON logs, source maps and the topology’s times', () => {
    expect(functions().size).toBe(3 + 2 * providerIds.length);
    for (const [id, { Properties }] of functions()) {
      const kind = /^(Receive|Decide|Sweep|Act|Reconcile)/.exec(id)?.[1]?.toLowerCase() as
        | 'receive'
        | 'decide'
        | 'sweep'
        | 'act';
      expect([id, Properties]).toMatchObject([
        id,
        {
          Runtime: 'nodejs24.x',
          Architectures: ['arm64'],
          Handler: 'index.handler',
          Timeout: sec(topology[kind].timeout),
          MemorySize: topology[kind].memoryMb,
          LoggingConfig: {
            LogFormat: 'JSON',
            LogGroup: expect.anything(),
            // Lambda's own two lines an invocation cost more than ours say.
            SystemLogLevel: kind === 'sweep' || id.startsWith('Reconcile') ? 'INFO' : 'WARN',
          },
          RecursiveLoop: 'Allow',
          Environment: { Variables: { NODE_OPTIONS: '--enable-source-maps' } },
        },
      ]);
    }
  });

  it('log into groups that forget after 90 days', () => {
    for (const { Properties } of ofType(made.texts.state, 'AWS::Logs::LogGroup').values())
      expect(Properties.RetentionInDays).toBe(90);
    const used = [...functions().values()].map(({ Properties }) => JSON.stringify(Properties.LoggingConfig));
    expect(new Set(used).size).toBe(functions().size);
  });

  it('take each message by itself, with bounded concurrency', () => {
    const feeds = ofType(made.texts.service, 'AWS::Lambda::EventSourceMapping');
    expect(feeds.size).toBe(1 + providerIds.length);
    for (const [id, { Properties }] of feeds) {
      const numbers = id.startsWith('Decide') ? topology.decide : topology.act;
      expect([id, Properties]).toMatchObject([
        id,
        {
          FunctionResponseTypes: ['ReportBatchItemFailures'],
          BatchSize: numbers.batchSize,
          ScalingConfig: { MaximumConcurrency: numbers.concurrencyMax },
        },
      ]);
    }
  });

  it('are started by the minute and by the hour, with what can’t be started kept', () => {
    const schedules = [...ofType(made.texts.service, 'AWS::Scheduler::Schedule').values()];
    expect(schedules.map(({ Properties }) => Properties.ScheduleExpression).sort()).toEqual([
      ...providerIds.map(() => 'rate(1 hour)'),
      'rate(1 minute)',
    ]);
    made.templates.service.allResourcesProperties('AWS::Scheduler::Schedule', {
      State: 'ENABLED',
      Target: {
        DeadLetterConfig: { Arn: Match.anyValue() },
        RetryPolicy: { MaximumRetryAttempts: 2, MaximumEventAgeInSeconds: 60 },
        Input: Match.stringLikeRegexp('"scheduledAt":"<aws.scheduler.scheduled-time>"'),
      },
    });
    made.templates.service.allResourcesProperties('AWS::Lambda::EventInvokeConfig', {
      MaximumRetryAttempts: 0,
    });
  });

  it('have no secret in their environment or their bundle', () => {
    for (const { Properties } of functions().values()) {
      expect(
        Object.keys(
          z.object({ Variables: z.record(z.string(), z.unknown()) }).parse(Properties.Environment).Variables,
        ),
      ).not.toContainEqual(expect.stringMatching(/KEY|TOKEN|PASSWORD/));
    }
    const stageFile = readFileSync(join(made.bundles.receive.folder, 'stage.json'), 'utf8');
    // Of a rule receive has what it speaks for, and nothing of what it buys.
    expect(stageFile).toContain('renew-low-data');
    expect(stageFile).not.toMatch(/secrets|maxCost|"plan":|PKG001|cooldown|accessCode/);
    expect(readFileSync(join(made.bundles.act.folder, 'stage.json'), 'utf8')).not.toContain('secrets');
  });
});

describe('rights', () => {
  const statementSchema = z.object({
    Effect: z.literal('Allow'),
    Action: z.union([z.string(), z.array(z.string())]).transform((a) => [a].flat()),
    Resource: z.unknown(),
    Condition: z.unknown().optional(),
  });
  const policies = () =>
    [...ofType(made.texts.service, 'AWS::IAM::Policy')].map(([id, { Properties }]) => ({
      id,
      statements: z.object({ Statement: z.array(statementSchema) }).parse(Properties.PolicyDocument)
        .Statement,
    }));

  it('name each call and each thing: no wildcard, no managed policy, no role for two', () => {
    for (const { id, statements } of policies()) {
      for (const { Action, Resource } of statements) {
        expect([id, Action.filter((a) => a.includes('*'))]).toEqual([id, []]);
        expect([id, JSON.stringify(Resource)]).toEqual([id, expect.not.stringContaining('*')]);
      }
    }
    const roles = [...ofType(made.texts.service, 'AWS::IAM::Role').values()];
    // A role for each function, and one for each schedule.
    expect(roles).toHaveLength(3 + 2 * providerIds.length + 1 + providerIds.length);
    for (const { Properties } of roles) expect(Properties.ManagedPolicyArns).toBeUndefined();
  });

  it('let receive put events and evidence, count its quarantine, and nothing else in the table', () => {
    const receive = policies().find(({ id }) => id.startsWith('Receive'));
    const data = receive?.statements.filter(({ Action }) => Action.some((a) => a.startsWith('dynamodb:')));
    const under = (...keys: string[]) => ({ 'ForAllValues:StringLike': { 'dynamodb:LeadingKeys': keys } });
    expect(data).toMatchObject([
      { Action: ['dynamodb:PutItem'], Condition: under('EVENT#*', 'CALLBACK#*', 'QUARANTINE#*') },
      { Action: ['dynamodb:GetItem', 'dynamodb:UpdateItem'], Condition: under('QUARANTINE#*') },
    ]);
  });

  it('keep a provider’s secrets and queue to its own function', () => {
    for (const provider of providerIds) {
      const id = provider.replace(/(^|-)([a-z])/g, (_m, _dash, letter: string) => letter.toUpperCase());
      const readers = policies()
        .filter(({ statements }) => JSON.stringify(statements).includes(`Secret${id}Api`))
        .map((policy) => policy.id);
      expect(readers.map((name) => name.replace(/Rights.*/, '')).sort()).toEqual([
        `Act${id}`,
        `Reconcile${id}`,
      ]);
      for (const name of [`Act${id}`, `Reconcile${id}`]) {
        const mine = policies().find((policy) => policy.id.startsWith(`${name}Rights`));
        expect(JSON.stringify(mine).match(/Secret\w+?(Api|Callback)/g)).toHaveLength(1);
      }
    }
    const readsSecrets = policies().filter(({ statements }) =>
      JSON.stringify(statements).includes('GetSecretValue'),
    );
    expect(readsSecrets.map(({ id }) => id.replace(/Rights.*/, '')).sort()).toEqual(
      [...['Act', 'Reconcile'].flatMap((name) => idsOfProviders.map((id) => name + id)), 'Receive'].sort(),
    );
  });
});

describe('the API', () => {
  it('has each provider’s path, with and without a token, and nothing else', () => {
    const routes = [...ofType(made.texts.service, 'AWS::ApiGatewayV2::Route').values()];
    const keys = providerIds.flatMap((id) => [`ANY /callbacks/${id}`, `ANY /callbacks/${id}/{token}`]);
    expect(routes.map(({ Properties }) => Properties.RouteKey).sort()).toEqual(keys.sort());
    const [stage] = ofType(made.texts.service, 'AWS::ApiGatewayV2::Stage').values();
    const throttle = {
      ThrottlingRateLimit: topology.api.requestsPerSec,
      ThrottlingBurstLimit: topology.api.burst,
    };
    expect(stage?.Properties).toMatchObject({
      DefaultRouteSettings: throttle,
      RouteSettings: Object.fromEntries(keys.map((key) => [key, throttle])),
    });
    const routeIds = [...ofType(made.texts.service, 'AWS::ApiGatewayV2::Route').keys()];
    expect(stage?.DependsOn).toEqual(expect.arrayContaining(routeIds));
    made.templates.service.hasResourceProperties('AWS::ApiGatewayV2::Integration', {
      PayloadFormatVersion: '2.0',
    });
  });

  it('logs routes, never paths, since a path can end in a secret token; no bodies, no headers', () => {
    const [stage] = ofType(made.texts.service, 'AWS::ApiGatewayV2::Stage').values();
    const format = z.object({ Format: z.string() }).parse(stage?.Properties.AccessLogSettings).Format;
    expect(format).toContain('$context.routeKey');
    expect(format).not.toMatch(/\$context\.path|body|header|authorizer/i);
  });
});

describe('alarms', () => {
  const alarms = () => ofType(made.texts.service, 'AWS::CloudWatch::Alarm');

  it('say why, each in a sentence of its own', () => {
    for (const [id, { Properties }] of alarms()) {
      expect([id, String(Properties.AlarmDescription).length]).toEqual([
        id,
        expect.toSatisfy((n: number) => n > 60),
      ]);
    }
  });

  it('cover what must wake someone', () => {
    const names = [...alarms().keys()].map((id) => id.replace(/^Alarms(.*)[0-9A-F]{8}$/, '$1'));
    const each = [
      'ActionsWait',
      'ActionsDead',
      'SignatureFailures',
      'Silent',
      'Stopped',
      'Parked',
      'Findings',
      'UnknownLong',
      'Spend',
    ];
    const whole = [
      'EventsWait',
      'EventsDead',
      'SweepStopped',
      'ScheduleDead',
      'WorkOverdue',
      'ActionsOrphaned',
      'HeldLong',
      'ProvidersSilent',
      'CallbacksNotTaken',
      'ReceiveThrottled',
    ];
    const faults = [
      'Receive',
      'Decide',
      'Sweep',
      ...['Act', 'Reconcile'].flatMap((name) => idsOfProviders.map((id) => name + id)),
    ].map((name) => `${name}Fails`);
    expect(names.sort()).toEqual(
      [...whole, ...faults, ...idsOfProviders.flatMap((id) => each.map((name) => name + id))].sort(),
    );
  });

  it('take missing figures of the sweep and of callbacks for the fault that they are', () => {
    for (const [id, { Properties }] of alarms()) {
      const silent = /AlarmsSilent|SweepStopped/.test(id);
      expect([id, Properties.TreatMissingData]).toEqual([id, silent ? 'breaching' : 'notBreaching']);
    }
    const [silent] = [...alarms()].filter(([id]) => id.startsWith('AlarmsSilentEiotclub'));
    expect(silent?.[1].Properties).toMatchObject({ Period: 3_600, EvaluationPeriods: 12, Threshold: 0 });
  });

  it('wait for the log phrase that act really writes', () => {
    const source = readFileSync(new URL('../../functions/act/provider-health.ts', import.meta.url), 'utf8');
    for (const { Properties } of ofType(made.texts.service, 'AWS::Logs::MetricFilter').values()) {
      const phrase = /\$\.message = "(.*)"/.exec(String(Properties.FilterPattern))?.[1];
      expect(source).toContain(`'${phrase}'`);
    }
  });

  it('watch figures that the functions really write', () => {
    const written = ['sweep/handler', 'act/metrics', 'receive/metrics', 'reconcile/metrics']
      .map((name) => new URL(`../../functions/${name}.ts`, import.meta.url))
      .map((url) => readFileSync(url, 'utf8'))
      .join('\n');
    const ours = [...alarms().values()]
      .filter(({ Properties }) => Properties.Namespace === metricNamespace)
      .map(({ Properties }) => String(Properties.MetricName))
      .filter((name) => !name.startsWith('ProviderStopped-'));
    expect(ours.length).toBeGreaterThan(10);
    for (const name of ours) expect(written).toContain(`'${name}'`);
  });

  it('warn of spend at 80 % of a day’s cap', () => {
    const [spend] = [...alarms()].filter(([id]) => id.includes('SpendEiotclub'));
    expect(spend?.[1].Properties).toMatchObject({ Threshold: 80_000, Period: 86_400 });
  });
});

describe('a stage with a domain, a topic and one provider', () => {
  it('gets its domain alone, its alarms out, and an eye on providers that it lost', async () => {
    const written = {
      name: 'production',
      input: {
        ...production,
        providers: { eiotclub: production.providers.eiotclub },
        rules: production.rules.slice(0, 1),
      },
      aws: {
        account: '111122223333',
        region: 'eu-central-1',
        domain: {
          name: 'hooks.example.com',
          certificateArn: 'arn:aws:acm:eu-central-1:111122223333:certificate/1',
        },
        alarmTopicArn: 'arn:aws:sns:eu-central-1:111122223333:oncall',
      },
      source: { fileName: 'production.ts', text: null },
    };
    const other = await synthesize(checkDeployable(written, offline));
    try {
      const { service } = other.templates;
      service.hasResourceProperties('AWS::ApiGatewayV2::Api', { DisableExecuteApiEndpoint: true });
      service.hasResourceProperties('AWS::ApiGatewayV2::DomainName', {
        DomainName: 'hooks.example.com',
        DomainNameConfigurations: [Match.objectLike({ SecurityPolicy: 'TLS_1_2' })],
      });
      service.allResourcesProperties('AWS::CloudWatch::Alarm', {
        AlarmActions: ['arn:aws:sns:eu-central-1:111122223333:oncall'],
      });
      service.hasResourceProperties('AWS::Lambda::Function', {
        Environment: {
          Variables: Match.objectLike({ ABSENT_PROVIDERS: '["linksfield-csss","linksfield-cube"]' }),
        },
      });
      expect(other.texts.service).not.toMatch(/Cube|Csss/);
    } finally {
      await other.remove();
    }
  });
});

describe('synthesis', () => {
  it('gives the same templates and the same bundles again, wherever it is done', async () => {
    const again = await synthesize();
    try {
      expect(again.outdir).not.toBe(made.outdir);
      expect(again.texts).toEqual(made.texts);
      const assets = (folder: string) =>
        readdirSync(folder)
          .filter((name) => name.startsWith('asset.'))
          .sort();
      expect(assets(again.outdir)).toEqual(assets(made.outdir));
    } finally {
      await again.remove();
    }
  });

  it('fails on what cdk-nag finds unsafe and on what CloudFormation would refuse', async () => {
    const app = new App({ autoSynth: false, analyticsReporting: false, context: cdkContext });
    const { state } = await makeApp(app, await loadStage('production', offline), offline);
    new Queue(state, 'Careless');
    new CfnQueue(state, 'Wrong', { visibilityTimeout: 99_999_999 });
    expect(() => app.synth()).toThrow(/SQS4[\s\S]*Wrong|Wrong[\s\S]*SQS4/);
  });

  it('acknowledges a finding only with a reason', () => {
    const findings: string[] = [];
    for (const stack of [made.state, made.service]) {
      for (const { node } of stack.node.findAll()) {
        for (const { type, data } of node.metadata) {
          if (type !== 'aws:cdk:acknowledged-rules') continue;
          for (const [rule, reason] of Object.entries(z.record(z.string(), z.unknown()).parse(data))) {
            findings.push(rule);
            expect([node.path, JSON.stringify(reason).length]).toEqual([
              node.path,
              expect.toSatisfy((n: number) => n > 40),
            ]);
          }
        }
      }
    }
    expect([...new Set(findings)].map((rule) => rule.replace(/^.*::/, '')).sort()).toEqual([
      'AwsSolutions-APIG4',
      'AwsSolutions-SMG4',
      'AwsSolutions-SQS3',
    ]);
  });
});
