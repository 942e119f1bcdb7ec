import { cpSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import type { Bundle } from '../../infra/aws/bundles.ts';
import { ofType, resourcesOf, type Synthesized } from './synthesized.ts';

/** What stands for each resource of the state stack on the local engines. */
export interface Physical {
  /** `Ref` of a resource: a table's name, a queue's URL, a secret's ARN. */
  readonly ref: (logicalId: string) => string;
  readonly arn: (logicalId: string) => string;
}

const refSchema = z.object({ Ref: z.string() });
const getAttSchema = z.object({ 'Fn::GetAtt': z.tuple([z.string(), z.string()]) });
const importSchema = z.object({ 'Fn::ImportValue': z.string() });
const joinSchema = z.object({ 'Fn::Join': z.tuple([z.string(), z.array(z.unknown())]) });
const outputsSchema = z.object({
  Outputs: z.record(
    z.string(),
    z.object({ Value: z.unknown(), Export: z.object({ Name: z.unknown() }).optional() }),
  ),
});

/** Works out what CloudFormation would: imports, references and joins, against the local engines. */
export function resolver(made: Synthesized, physical: Physical): (value: unknown) => string {
  const { Outputs } = outputsSchema.parse(JSON.parse(made.texts.state));
  const exported = new Map(
    Object.values(Outputs).flatMap(({ Value, Export }) =>
      Export === undefined ? [] : [[Export.Name, Value] as const],
    ),
  );
  const resolve = (value: unknown): string => {
    if (typeof value === 'string') return value;
    const ref = refSchema.safeParse(value);
    if (ref.success) return physical.ref(ref.data.Ref);
    const getAtt = getAttSchema.safeParse(value);
    if (getAtt.success) return physical.arn(getAtt.data['Fn::GetAtt'][0]);
    const joined = joinSchema.safeParse(value);
    if (joined.success) return joined.data['Fn::Join'][1].map(resolve).join(joined.data['Fn::Join'][0]);
    const imported = importSchema.parse(value)['Fn::ImportValue'];
    if (!exported.has(imported)) throw new Error(`the state stack does not export ${imported}`);
    return resolve(exported.get(imported));
  };
  return resolve;
}

/** A function's environment, as its template says. */
export function environmentOf(
  made: Synthesized,
  name: string,
  resolve: (value: unknown) => string,
): Record<string, string> {
  const [found] = [...ofType(made.texts.service, 'AWS::Lambda::Function')].filter(([id]) =>
    id.startsWith(`${name}Function`),
  );
  const { Variables } = z
    .object({ Variables: z.record(z.string(), z.unknown()) })
    .parse(found?.[1].Properties.Environment);
  return Object.fromEntries(Object.entries(Variables).map(([key, value]) => [key, resolve(value)]));
}

export interface Statement {
  readonly actions: readonly string[];
  readonly resources: readonly string[];
  /** Patterns that each partition key must fit; null allows all. */
  readonly leadingKeys: readonly string[] | null;
}

const statementSchema = z.object({
  Effect: z.literal('Allow'),
  Action: z.union([z.string(), z.array(z.string())]),
  Resource: z.unknown(),
  Condition: z
    .strictObject({
      'ForAllValues:StringLike': z.strictObject({ 'dynamodb:LeadingKeys': z.array(z.string()) }),
    })
    .optional(),
});

/** A function's rights, as its template says. */
export function rightsOf(
  made: Synthesized,
  name: string,
  resolve: (value: unknown) => string,
): readonly Statement[] {
  const [found] = [...ofType(made.texts.service, 'AWS::IAM::Policy')].filter(([id]) =>
    id.startsWith(`${name}Rights`),
  );
  const document = z
    .object({ Statement: z.array(statementSchema) })
    .parse(found?.[1].Properties.PolicyDocument);
  return document.Statement.map(({ Action, Resource, Condition }) => ({
    actions: [Action].flat(),
    resources: [Resource].flat().map(resolve),
    leadingKeys: Condition?.['ForAllValues:StringLike']['dynamodb:LeadingKeys'] ?? null,
  }));
}

/** Logical ids of the state stack's queues that are worked on. */
export function workQueueIds(made: Synthesized): readonly string[] {
  return [...resourcesOf(made.texts.state)]
    .filter(([id, { Type }]) => Type === 'AWS::SQS::Queue' && /Queue[0-9A-F]{8}$/.test(id))
    .map(([id]) => id);
}

const stageFileSchema = z.looseObject({
  providers: z.record(z.string(), z.looseObject({ settings: z.looseObject({}) })),
});

/** A copy of a bundle whose stage calls `baseUrl` instead of the provider; the code is the same to the byte. */
export function aimedAt(bundle: Bundle, folder: string, provider: string, baseUrl: string): string {
  cpSync(bundle.folder, folder, { recursive: true });
  const file = join(folder, 'stage.json');
  const stage = stageFileSchema.parse(JSON.parse(readFileSync(file, 'utf8')));
  const entry = stage.providers[provider];
  if (entry === undefined) throw new Error(`the stage has no ${provider}`);
  const settings = { ...entry.settings, baseUrl };
  writeFileSync(
    file,
    JSON.stringify({ ...stage, providers: { ...stage.providers, [provider]: { ...entry, settings } } }),
  );
  return folder;
}
