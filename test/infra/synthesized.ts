import { readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { App } from 'aws-cdk-lib';
import { Template } from 'aws-cdk-lib/assertions';
import { z } from 'zod';
import { makeApp, type SimhookApp } from '../../infra/aws/simhook-app.ts';
import { type DeployableStage, loadStage, type Target } from '../../infra/aws/stage-file.ts';

const cdkJson = z
  .object({ app: z.string(), context: z.record(z.string(), z.unknown()) })
  .parse(JSON.parse(readFileSync(new URL('../../cdk.json', import.meta.url), 'utf8')));

/** The flags of cdk.json, which the command line would set. */
export const cdkContext = cdkJson.context;

export const offline: Target = { account: null, region: null };

export interface Synthesized extends SimhookApp {
  /** Templates as plain data and as CDK's matcher. */
  readonly templates: { readonly state: Template; readonly service: Template };
  /** The exact texts, for comparison. */
  readonly texts: { readonly state: string; readonly service: string };
  readonly outdir: string;
  remove(): Promise<void>;
}

/** Synthesizes a stage as `cdk synth` does, with the flags of cdk.json, into a folder of its own. */
export async function synthesize(
  stage: DeployableStage | string = 'production',
  target: Target = offline,
): Promise<Synthesized> {
  const outdir = await mkdtemp(join(tmpdir(), 'simhook-synth-'));
  const app = new App({ outdir, autoSynth: false, analyticsReporting: false, context: cdkContext });
  const made = await makeApp(app, typeof stage === 'string' ? await loadStage(stage, target) : stage, target);
  app.synth();
  const read = (name: string): string => readFileSync(join(outdir, `${name}.template.json`), 'utf8');
  const texts = { state: read(made.state.artifactId), service: read(made.service.artifactId) };
  const parse = (text: string) => Template.fromJSON(z.record(z.string(), z.any()).parse(JSON.parse(text)));
  return {
    ...made,
    texts,
    templates: { state: parse(texts.state), service: parse(texts.service) },
    outdir,
    remove: () => rm(outdir, { recursive: true, force: true }),
  };
}

const resourceSchema = z.object({
  Type: z.string(),
  Properties: z.record(z.string(), z.unknown()).default({}),
  DeletionPolicy: z.string().optional(),
  UpdateReplacePolicy: z.string().optional(),
  DependsOn: z.array(z.string()).default([]),
});
export type TemplateResource = z.infer<typeof resourceSchema>;

/** All resources of a template, checked, by logical id. */
export function resourcesOf(text: string): ReadonlyMap<string, TemplateResource> {
  const { Resources } = z.object({ Resources: z.record(z.string(), resourceSchema) }).parse(JSON.parse(text));
  return new Map(Object.entries(Resources));
}

/** Resources of one type, by logical id. */
export function ofType(text: string, type: string): ReadonlyMap<string, TemplateResource> {
  return new Map([...resourcesOf(text)].filter(([, resource]) => resource.Type === type));
}
