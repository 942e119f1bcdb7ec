import { describe, expect, it } from 'vitest';
import localStage from '../../../infra/stages/local.ts';
import { topology } from '../../../infra/topology.ts';
import { days, hours, minutes, seconds } from '../../../shared/core/time.ts';
import { readDeployedStage } from '../../../shared/policy/deployed-stage.ts';
import { readReceivingStage, receivingStageOf } from '../../../shared/policy/receiving-stage.ts';
import {
  callTimeoutMax,
  readStage,
  type Stage,
  type StageInput,
  stageJsonSchema,
} from '../../../shared/policy/stage.ts';
import { providers } from '../../../shared/providers/registry.ts';

const ruleOf = (id: string, changes: object = {}): object => ({
  id,
  provider: 'eiotclub',
  when: { kind: 'usage-alert', alerts: ['low-data'] },
  do: { kind: 'renew', plan: { packageCode: 'PKG001' } },
  maxCost: '5.00 USD',
  cooldown: '12h',
  ...changes,
});

const stageOf = (changes: object = {}, providerChanges: object = {}): object => ({
  name: 'shop',
  providers: {
    eiotclub: {
      currency: 'USD',
      settings: { baseUrl: 'https://api.example.com', appkey: '000001' },
      ...providerChanges,
    },
  },
  rules: [ruleOf('renew-low-data')],
  ...changes,
});

/** A stage as a person would keep it in a file: one field a line. */
const textOf = (input: object): string => JSON.stringify(input, null, 2);

function problemsOf(input: object): readonly string[] {
  const reading = readStage(input, { fileName: 'shop.json', text: textOf(input) }, providers);
  if (reading.ok) throw new Error('the stage was read');
  return reading.problems;
}

function stageFrom(input: object): Stage {
  const reading = readStage(input, { fileName: 'shop.json', text: textOf(input) }, providers);
  if (!reading.ok) throw new Error(reading.problems.join('\n'));
  return reading.stage;
}

/** The number of the first line, at or after a line with `after`, that has `part`. */
function lineWith(input: object, part: string, after = ''): number {
  const lines = textOf(input).split('\n');
  const from = lines.findIndex((line) => line.includes(after));
  const found = lines.findIndex((line, i) => i >= from && line.includes(part));
  if (found < 0) throw new Error(`no line has ${part}`);
  return found + 1;
}

describe('a good stage', () => {
  it('is read with every default that it leaves out', () => {
    const { name, policy, providers: found, secrets } = stageFrom(stageOf());
    expect(name).toBe('shop');
    expect(policy.rules).toEqual([
      {
        ruleId: 'renew-low-data',
        provider: 'eiotclub',
        enabled: true,
        when: {
          kind: 'usage-alert',
          alerts: ['low-data'],
          statuses: null,
          warnings: null,
          packageCodes: null,
          simPrefixes: null,
          maxEventAge: hours(72),
        },
        action: 'renew',
        plan: { packageCode: 'PKG001' },
        maxCost: { amountMinor: 500, currency: 'USD' },
        unknownPrice: 'allow',
        cooldown: hours(12),
        approval: false,
        caps: { dayMinor: null, monthMinor: null },
        simsPerCall: 1,
      },
    ]);
    expect(policy.providers).toEqual([
      {
        provider: 'eiotclub',
        currency: 'USD',
        simCaps: { dayMinor: null, monthMinor: null },
        caps: { dayMinor: null, monthMinor: null },
        simVelocity: { max: 3, window: days(1) },
        purchasesPerHour: 1_000,
        refusalsInARow: 5,
      },
    ]);
    expect(found[0]).toMatchObject({
      callbackPath: '/callbacks/eiotclub',
      callbacks: {
        acceptUnsigned: false,
        verification: { variants: null, maxAge: hours(72), maxFuture: minutes(10) },
      },
      limits: { requestsPerSec: 10, connectionsMax: null, requestsPerDay: null },
    });
    expect(secrets).toEqual({});
  });

  it('sets caps, limits and breakers in minor units and milliseconds', () => {
    const { policy, providers: found } = stageFrom(
      stageOf(
        {},
        {
          caps: { sim: { day: '20.00 USD' }, provider: { month: '5000 USD' } },
          limits: {
            requestsPerSec: 2,
            connectionsMax: 3,
            requestsPerDay: 100,
            callTimeout: '500ms',
            lateCommit: '2m',
          },
          breakers: { simPurchases: 2, simWindow: '90s' },
          callbackPath: '/hooks/shop',
        },
      ),
    );
    expect(policy.providers[0]).toMatchObject({
      simCaps: { dayMinor: 2_000, monthMinor: null },
      caps: { dayMinor: null, monthMinor: 500_000 },
      simVelocity: { max: 2, window: seconds(90) },
    });
    expect(found[0]).toMatchObject({
      callbackPath: '/hooks/shop',
      limits: { provider: 'eiotclub', requestsPerSec: 2, connectionsMax: 3, requestsPerDay: 100 },
      profile: { callTimeout: 500, lateCommit: minutes(2), requestsPerSec: 2 },
    });
  });

  it('lets as many SIMs share a call as the provider takes, where a rule says so', () => {
    const plan = { packageCode: 'P1', packageName: 'P', packageType: '2', payAmount: '3.00' };
    const rule = {
      provider: 'linksfield-csss',
      when: { kind: 'order-status', statuses: ['expired'] },
      do: { kind: 'order', plan },
      maxCost: '3.00 USD',
    };
    const csss = { currency: 'USD', settings: { accessCode: 'P1' } };
    const { policy } = stageFrom(
      stageOf({
        providers: { 'linksfield-csss': csss },
        rules: [ruleOf('alone', rule), ruleOf('together', { ...rule, coalesce: true })],
      }),
    );
    expect(policy.rules.map(({ simsPerCall }) => simsPerCall)).toEqual([1, 20]);
  });

  it('may have no rules, and may keep secrets for one machine', () => {
    const secrets = { callback: [{ value: 'abc' }], pathToken: 'sixteen-characters' };
    const stage = stageFrom(stageOf({ rules: [] }, { secrets }));
    expect(stage.secrets).toEqual({
      eiotclub: { callback: [{ keyId: null, value: 'abc' }], api: [], pathToken: 'sixteen-characters' },
    });
  });

  it('may pin any variant that its provider verifies by, and wait a minute for a late order at least', () => {
    for (const { id, callbackVariants } of providers) {
      expect(callbackVariants.length).toBeGreaterThan(10);
      const callbacks = { variants: [...callbackVariants] };
      const settings = id === 'linksfield-csss' ? { accessCode: 'P1' } : {};
      const stage = stageFrom({
        ...stageOf({ rules: [] }),
        providers: { [id]: { currency: 'USD', settings, callbacks, limits: { lateCommit: '1m' } } },
      });
      expect(stage.providers[0]?.callbacks.verification.variants).toEqual(callbackVariants);
    }
  });

  it('is the local one that comes along', () => {
    expect(stageFrom(localStage).policy.rules.length).toBeGreaterThanOrEqual(3);
  });
});

type BadStage = readonly [what: string, input: object, line: number, says: string];

const badRule = (changes: object): object =>
  stageOf({ rules: [ruleOf('renew-low-data'), ruleOf('second', changes)] });
const inRule = (what: string, changes: object, part: string, says: string): BadStage => {
  const input = badRule(changes);
  const where = says.startsWith('Unrecognized') ? 'rule "second": ' : 'rule "second" ';
  return [what, input, lineWith(input, part, '"second"'), `${where}${says}`];
};
const inProvider = (what: string, changes: object, part: string, says: string): BadStage => {
  const input = stageOf({}, changes);
  return [what, input, lineWith(input, part), says];
};
const whole = (what: string, changes: object, part: string, says: string): BadStage => {
  const input = stageOf(changes);
  return [what, input, lineWith(input, part), says];
};

/** Without a field: JSON leaves out what is undefined. */
const missing = (field: string): BadStage => {
  const input = JSON.parse(
    textOf(stageOf({ rules: [ruleOf('second', { [field]: undefined }), ruleOf('third')] })),
  );
  return [
    `a rule without ${field}, though the next one has it`,
    input,
    lineWith(input, '"second"'),
    `rule "second" ${field}: Invalid input: expected string, received undefined`,
  ];
};

const bad: readonly BadStage[] = [
  inProvider(
    'a signature variant that is misspelt',
    { callbacks: { variants: ['raw-text/typo'] } },
    '"variants"',
    'providers.eiotclub.callbacks.variants.0: there is no variant "raw-text/typo"; eiotclub has raw-text/',
  ),
  inProvider(
    'an absence that would be proven at once',
    { limits: { lateCommit: '0s' } },
    '"lateCommit"',
    "providers.eiotclub.limits.lateCommit: an order may appear late in a provider's records, so at least 60s",
  ),
  inRule(
    'a duration without a unit',
    { cooldown: '12 hours' },
    '"cooldown"',
    'cooldown: a duration is a number with a unit: 250ms, 90s, 30m, 12h or 7d, but it is "12 hours"',
  ),
  inRule(
    'an amount without a currency',
    { maxCost: '5.00' },
    '"maxCost"',
    'maxCost: an amount is a number and a currency, such as "5.00 USD", but it is "5.00"',
  ),
  inRule(
    'an amount with half a cent',
    { maxCost: '5.005 USD' },
    '"maxCost"',
    'maxCost: an amount is a number and a currency, such as "5.00 USD", but it is "5.005 USD"',
  ),
  inRule(
    'an amount in another currency',
    { maxCost: '5.00 CNY' },
    '"maxCost"',
    'maxCost: CNY is not the currency of eiotclub, which is USD, but it is "5.00 CNY"',
  ),
  inRule(
    'a cap in another currency',
    { caps: { month: '9 CNY' } },
    '"month"',
    'caps.month: CNY is not the currency of eiotclub, which is USD, but it is "9 CNY"',
  ),
  inRule(
    'a provider that the stage does not have',
    { provider: 'linksfield-csss' },
    '"provider"',
    'provider: the stage has no provider "linksfield-csss"; it has eiotclub, but it is "linksfield-csss"',
  ),
  inRule(
    'an action that the provider does not have',
    { do: { kind: 'order-ota', plan: {} } },
    '"kind": "order-ota"',
    'do.kind: eiotclub has no action "order-ota"; it has renew, order, but it is "order-ota"',
  ),
  inRule(
    'a plan with a wrong field',
    { do: { kind: 'renew', plan: { packageCode: '' } } },
    '"packageCode"',
    'do.plan.packageCode: must be 1 to 100 visible ASCII characters, but it is ""',
  ),
  inRule(
    'a plan without its field',
    { do: { kind: 'renew', plan: {} } },
    '"plan"',
    'do.plan.packageCode: Invalid input: expected string, received undefined',
  ),
  inRule(
    'a kind that is never acted on',
    { when: { kind: 'unknown' } },
    '"kind": "unknown"',
    'when.kind: Invalid option',
  ),
  inRule(
    'an alert that is never acted on',
    { when: { kind: 'usage-alert', alerts: ['unknown'] } },
    '"alerts"',
    'when.alerts.0: Invalid option',
  ),
  inRule(
    'a list that its kind does not have',
    { when: { kind: 'order-status', alerts: ['low-data'] } },
    '"alerts"',
    'when.alerts: only a usage-alert has alerts, so "order-status" would match without them',
  ),
  inRule(
    'an empty list, which would never match',
    { when: { kind: 'usage-alert', alerts: [] } },
    '"alerts"',
    'when.alerts: Too small',
  ),
  inRule(
    'a field with a typing mistake',
    { maxcost: '5.00 USD' },
    '"maxcost"',
    'Unrecognized key: "maxcost"',
  ),
  missing('cooldown'),
  missing('maxCost'),
  whole(
    'a rule id with capitals',
    { rules: [ruleOf('Renew')] },
    '"Renew"',
    'rule "Renew" id: a rule id is lower-case letters, digits and hyphens, at most 60 of them, but it is "Renew"',
  ),
  whole(
    'a name with a blank',
    { name: 'my shop' },
    '"name"',
    'name: a stage name is lower-case letters, digits and hyphens, at most 30, but it is "my shop"',
  ),
  whole(
    'rules that are no list',
    { rules: 'none' },
    '"rules"',
    'rules: Invalid input: expected array, received string, but it is "none"',
  ),
  inProvider(
    'a currency in small letters',
    { currency: 'usd' },
    '"currency"',
    'providers.eiotclub.currency: a currency is three capital letters, such as USD, but it is "usd"',
  ),
  inProvider(
    'an address without https',
    { settings: { baseUrl: 'http://api.example.com' } },
    '"baseUrl"',
    'providers.eiotclub.settings.baseUrl: must be an https URL',
  ),
  inProvider(
    'a path with a slash at its end',
    { callbackPath: '/hooks/' },
    '"callbackPath"',
    'providers.eiotclub.callbackPath: a callback path starts with / and has no slash at its end, but it is "/hooks/"',
  ),
  inRule(
    'sharing of calls at a provider that takes one SIM per call',
    { coalesce: true },
    '"coalesce"',
    'coalesce: eiotclub takes one SIM per call of "renew"; several only of: none, but it is true',
  ),
  inProvider(
    'no requests a second',
    { limits: { requestsPerSec: 0 } },
    '"requestsPerSec"',
    'providers.eiotclub.limits.requestsPerSec: Too small',
  ),
  inProvider(
    'a call longer than a worker may take',
    { limits: { callTimeout: '21s' } },
    '"callTimeout"',
    'providers.eiotclub.limits.callTimeout: a call may take 20s at most, but it is "21s"',
  ),
  inProvider(
    'a breaker that could never open',
    { breakers: { simPurchases: 21 } },
    '"simPurchases"',
    'providers.eiotclub.breakers.simPurchases: Too big',
  ),
  inProvider(
    'a cap of the SIM in another currency',
    { caps: { sim: { day: '500 JPY' } } },
    '"day"',
    'providers.eiotclub.caps.sim.day: JPY is not the currency of eiotclub, which is USD, but it is "500 JPY"',
  ),
  inProvider(
    'a cap of the provider in another currency',
    { caps: { provider: { month: '500 JPY' } } },
    '"month"',
    'providers.eiotclub.caps.provider.month: JPY is not the currency of eiotclub, which is USD, but it is "500 JPY"',
  ),
  inProvider(
    'a path token that can be guessed',
    { secrets: { pathToken: 'short' } },
    '"pathToken"',
    'providers.eiotclub.secrets.pathToken: Too small',
  ),
];

describe('a bad stage', () => {
  it.each(bad)('with %s is refused with its line and field', (_what, input, line, says) => {
    const problems = problemsOf(input);
    expect(problems).toHaveLength(1);
    expect(problems[0]?.startsWith(`shop.json:${line}: ${says}`)).toBe(true);
  });

  it('names a provider that nobody knows, and those that exist', () => {
    const input = stageOf({ providers: { telco: { currency: 'USD', settings: {} } }, rules: [] });
    expect(problemsOf(input)).toEqual([
      `shop.json:${lineWith(input, '"telco"')}: providers.telco: there is no provider "telco"; simhook has linksfield-csss, linksfield-cube, eiotclub`,
    ]);
  });

  it('points at the second of two rules with one id', () => {
    const input = stageOf({ rules: [ruleOf('same'), ruleOf('other'), ruleOf('same')] });
    const lines = textOf(input).split('\n');
    const line = lines.findLastIndex((text) => text.includes('"same"')) + 1;
    expect(problemsOf(input)).toEqual([
      `shop.json:${line}: rule "same" id: the rule id "same" stands twice; give each rule its own, but it is "same"`,
    ]);
  });

  it('tells two providers whose paths lie inside each other', () => {
    const csss = { currency: 'CNY', settings: { accessCode: 'P1' }, callbackPath: '/hooks/csss' };
    const input = stageOf();
    const both = {
      ...input,
      providers: {
        eiotclub: { currency: 'USD', settings: {}, callbackPath: '/hooks' },
        'linksfield-csss': csss,
      },
    };
    expect(problemsOf(both)).toEqual([
      `shop.json:${lineWith(both, '"/hooks/csss"')}: providers.linksfield-csss.callbackPath: "/hooks/csss" clashes with "/hooks" of eiotclub; choose paths that are not inside each other, but it is "/hooks/csss"`,
    ]);
  });

  it('lists every problem, and names the rule by its number while it has no id', () => {
    const { id: _id, ...nameless } = ruleOf('x') as { id: string };
    const input = stageOf({ rules: [ruleOf('a', { cooldown: 'x' }), nameless] });
    const problems = problemsOf(input);
    expect(problems).toHaveLength(2);
    expect(problems[1]).toMatch(/rule number 2 id: /);
  });

  it.each([[null], [5], ['x'], [[]]])(
    'that is %j instead of an object is refused without a stack',
    (input) => {
      const reading = readStage(input, { fileName: 'shop.json', text: null }, providers);
      expect(reading).toMatchObject({
        ok: false,
        problems: [expect.stringMatching(/^shop\.json: Invalid input/)],
      });
    },
  );

  it('never echoes a secret, wherever it was put', () => {
    const secret = 'hunter2-hunter2-hunter2';
    const places: readonly object[] = [
      stageOf({}, { secrets: { callback: [{ value: '', note: secret }] } }),
      stageOf({}, { secrets: secret }),
      stageOf({}, { secrets: { callback: secret } }),
      stageOf({}, { secrets: { api: [{ value: 5, keyId: secret }] } }),
      stageOf({}, { secrets: { pathToken: secret.slice(0, 8) } }),
      stageOf({}, { secret }),
      stageOf({}, { settings: { baseUrl: 'https://a.example', appkey: '1', secret } }),
    ];
    for (const input of places) expect(problemsOf(input).join('\n')).not.toContain('hunter2');
  });

  it('holds the longest call to what the topology has room for', () => {
    expect(callTimeoutMax).toBe(topology.callTimeoutMax);
  });
});

describe('the version of the policy', () => {
  const version = (input: object): string => stageFrom(input).policy.version;

  it('stays while nothing changes that a decision depends on', () => {
    const same = [
      stageOf(),
      stageOf({ name: 'other' }),
      stageOf({}, { settings: { baseUrl: 'https://other.example.com', appkey: '2' } }),
      stageOf({}, { limits: { requestsPerSec: 1 } }),
      stageOf({}, { secrets: { callback: [{ value: 'x' }] } }),
      stageOf({ rules: [ruleOf('renew-low-data', { enabled: true, cooldown: '720m', maxCost: '5 USD' })] }),
    ];
    expect(new Set(same.map(version)).size).toBe(1);
    expect(version(stageOf())).toMatch(/^[0-9a-f]{12}$/);
  });

  it('changes with every rule, guard, price, cap and breaker', () => {
    const different = [
      stageOf(),
      stageOf({ rules: [] }),
      ...[
        { enabled: false },
        { when: { kind: 'usage-alert' } },
        { when: { kind: 'usage-alert', alerts: ['low-data'], simPrefixes: ['8985'] } },
        { do: { kind: 'order', plan: { packageCode: 'PKG001' } } },
        { do: { kind: 'renew', plan: { packageCode: 'PKG002' } } },
        { maxCost: '5.01 USD' },
        { cooldown: '13h' },
        { approval: true },
        { caps: { day: '10 USD' } },
      ].map((changes) => stageOf({ rules: [ruleOf('renew-low-data', changes)] })),
      stageOf({ rules: [ruleOf('renamed')] }),
      stageOf({ rules: [ruleOf('renew-low-data'), ruleOf('b')] }),
      stageOf({ rules: [ruleOf('b'), ruleOf('renew-low-data')] }),
      stageOf({}, { caps: { sim: { day: '10 USD' } } }),
      stageOf({}, { caps: { provider: { day: '10 USD' } } }),
      stageOf({}, { breakers: { simPurchases: 4 } }),
      stageOf({}, { breakers: { purchasesPerHour: 4 } }),
      stageOf({}, { breakers: { refusalsInARow: 4 } }),
    ];
    expect(new Set(different.map(version)).size).toBe(different.length);
  });
});

describe('what travels with the functions', () => {
  it('is read again as it was, by receive with the conditions of the rules, and without a plan or a price', () => {
    const stage = stageFrom(localStage);
    const json: unknown = JSON.parse(JSON.stringify(receivingStageOf(stage)));
    const again = readReceivingStage(json);
    expect(again.providers.map((p) => p.callbackPath)).toEqual(stage.providers.map((p) => p.callbackPath));
    expect(again.policy.version).toBe(stage.policy.version);
    expect(again.policy.rules).toHaveLength(stage.policy.rules.length);
    for (const [i, { ruleId, provider, when }] of stage.policy.rules.entries()) {
      const { maxEventAge: _, ...conditions } = when;
      expect(again.policy.rules[i]).toEqual({ ruleId, provider, when: conditions });
    }
    expect(JSON.stringify(again)).not.toMatch(/PKG001|baseUrl|maxCost/);
    expect(() => readReceivingStage({ name: 'x' })).toThrow('deploy both together');
  });

  it('is refused when it holds secrets or does not fit', () => {
    expect(readDeployedStage(stageOf(), providers).name).toBe('shop');
    const secrets = { callback: [{ value: 'hunter2' }] };
    expect(() => readDeployedStage(stageOf({}, { secrets }), providers)).toThrow(/Secrets Manager/);
    expect(() => readDeployedStage(stageOf({}, { currency: 'x' }), providers)).toThrow(/does not fit/);
  });
});

describe('the JSON Schema', () => {
  it('names every field that a stage may have, and refuses others', () => {
    const schema = stageJsonSchema() as { properties: Record<string, unknown>; required: string[] };
    expect(schema).toMatchObject({ type: 'object', additionalProperties: false });
    expect(Object.keys(schema.properties).sort()).toEqual(['$schema', 'name', 'providers', 'rules']);
    expect(schema.required.sort()).toEqual(['name', 'providers', 'rules']);
    const text = JSON.stringify(schema);
    const stage: StageInput = localStage;
    const fields = new Set(stage.rules.flatMap((rule) => Object.keys(rule)));
    for (const field of fields) expect(text).toContain(`"${field}":`);
    for (const words of ['usage-alert', 'order-ota', 'low-data-percent', 'ended-early', 'no-plan']) {
      expect(text).toContain(`"${words}"`);
    }
    expect(JSON.stringify(schema)).not.toContain('"unknown"');
  });
});
