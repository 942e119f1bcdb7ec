import { join } from 'node:path';
import { type App, type Environment, Tags, Validations } from 'aws-cdk-lib';
import { AwsSolutionsChecks } from 'cdk-nag';
import { receivingStageOf } from '../../shared/policy/receiving-stage.ts';
import { providers } from '../../shared/providers/registry.ts';
import { serviceStackName, stateStackName } from '../names.ts';
import { type Bundle, buildBundles, type FunctionName } from './bundles.ts';
import { functionLogNames, ServiceStack } from './service-stack.ts';
import type { DeployableStage, Target } from './stage-file.ts';
import { StateStack } from './state-stack.ts';

export interface SimhookApp {
  readonly state: StateStack;
  readonly service: ServiceStack;
  readonly bundles: Readonly<Record<FunctionName, Bundle>>;
}

/** Builds the functions and describes both stacks of one stage. Synthesizing is left to the caller. */
export async function makeApp(app: App, checked: DeployableStage, target: Target): Promise<SimhookApp> {
  const { stage, input, deployment } = checked;
  const bundles = await buildBundles(join(app.outdir, 'bundles'), {
    receive: receivingStageOf(stage),
    decide: input,
    act: input,
    sweep: null,
    reconcile: input,
  });
  const ids = stage.providers.map(({ id }) => id);
  const env = environmentOf(deployment, target);
  const state = new StateStack(app, stateStackName(stage.name), {
    env,
    description: `simhook ${stage.name}: table, queues, secrets, logs`,
    terminationProtection: true,
    stageName: stage.name,
    providers: ids,
    functionNames: functionLogNames(ids),
  });
  const service = new ServiceStack(app, serviceStackName(stage.name), {
    env,
    description: `simhook ${stage.name}: functions, API, schedules, alarms`,
    state,
    stage,
    deployment,
    bundles,
    absentProviders: providers.map(({ id }) => id).filter((id) => !ids.includes(id)),
  });
  Tags.of(app).add('simhook:stage', stage.name);
  Validations.of(app).addPlugins(new AwsSolutionsChecks(app));
  return { state, service, bundles };
}

/** What the stage pins goes before what the credentials say; without either, the template fits any account. */
function environmentOf(deployment: DeployableStage['deployment'], target: Target): Environment {
  const account = deployment.account ?? target.account;
  const region = deployment.region ?? target.region;
  return { ...(account === null ? {} : { account }), ...(region === null ? {} : { region }) };
}
