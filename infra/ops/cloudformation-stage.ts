import { CloudFormationClient, DescribeStacksCommand } from '@aws-sdk/client-cloudformation';
import { z } from 'zod';
import { opsLayout, opsOutputs, stateStackName } from '../names.ts';
import { type AwsAccess, awsFailure, clientOptions } from './aws-access.ts';
import type { Deployed } from './connect.ts';
import { failed, misused, notFound, type OpsError } from './failure.ts';

/** What the state stack's outputs tell of a stage. */
export type FoundStage = Pick<Deployed, 'table' | 'region' | 'queues' | 'deadLetters'>;

/** A place to look for a stage, and the account that its file pins it to; null where it pins none. */
export interface StagePlace extends AwsAccess {
  readonly account: string | null;
}

/** A stack as its outputs describe it. */
interface StackState {
  readonly name: string;
  readonly region: string;
  readonly status: string;
  readonly outputs: ReadonlyMap<string, string>;
}

/**
 * Finds a deployed stage by its state stack. Throws OpsError with one line when it is not there, not readable, or in
 * another account than the one that it is pinned to.
 */
export async function findDeployed(stage: string, place: StagePlace): Promise<FoundStage> {
  return readOutputs(stage, await describeStack(stage, place));
}

/** Throws OpsError when the credentials belong to another account than the one that the stage is pinned to. */
export async function assertOwnAccount(stage: string, place: StagePlace): Promise<void> {
  if (place.account !== null) await describeStack(stage, place);
}

async function describeStack(stage: string, access: StagePlace): Promise<StackState> {
  const name = stateStackName(stage);
  const client = new CloudFormationClient(clientOptions(access));
  let region = access.region ?? '';
  try {
    region = await client.config.region();
    const { Stacks = [] } = await client.send(new DescribeStacksCommand({ StackName: name }));
    const [stack] = Stacks;
    if (stack === undefined) throw notDeployed(stage, name, region);
    // Each account may have a stack of this name, and a profile is switched more easily than a stage.
    const account = stack.StackId?.split(':')[4] ?? '';
    if (access.account !== null && account !== access.account)
      throw misused(
        `the stage ${stage} is pinned to the account ${access.account} by its file, but these credentials are of ${account}: choose another profile`,
      );
    const outputs = (stack.Outputs ?? []).map(
      ({ OutputKey = '', OutputValue = '' }) => [OutputKey, OutputValue] as const,
    );
    return { name, region, status: stack.StackStatus ?? 'unknown', outputs: new Map(outputs) };
  } catch (error) {
    // Source: CloudFormation API reference, DescribeStacks: "if the stack doesn't exist, a ValidationError is returned".
    if (error instanceof Error && error.name === 'ValidationError' && /does not exist/.test(error.message))
      throw notDeployed(stage, name, region);
    throw awsFailure(
      error,
      `the stage ${stage} could not be looked up${region === '' ? '' : ` in ${region}`}`,
      'cloudformation:DescribeStacks',
    );
  } finally {
    client.destroy();
  }
}

function notDeployed(stage: string, name: string, region: string): OpsError {
  return notFound(
    `there is no stack ${name} in ${region}: the stage is not deployed there; check --stage, --region and the profile, or run npx cdk deploy ${name} -c stage=${stage}`,
  );
}

const queueSchema = z.object({ queue: z.string(), url: z.url(), deadLetters: z.url() });

function readOutputs(stage: string, { name, region, status, outputs }: StackState): FoundStage {
  const layout = outputs.get(opsOutputs.layout);
  const table = outputs.get(opsOutputs.table);
  if (layout === undefined && outputs.size === 0)
    throw failed(
      `the stack ${name} in ${region} is ${status} and has no outputs: wait for its deployment, or repeat it`,
    );
  if (layout !== opsLayout || table === undefined) {
    const seen = layout === undefined ? 'an older simhook' : `another simhook (outputs of layout ${layout})`;
    throw failed(
      `the stack ${name} in ${region} was deployed by ${seen}, and this one reads layout ${opsLayout}: use the commit that deployed it, or run npx cdk deploy ${name} -c stage=${stage}`,
    );
  }
  const queues = [...outputs].flatMap(([key, value]) =>
    key.startsWith(opsOutputs.queue) ? [readQueue(key, value, name)] : [],
  );
  return {
    table,
    region,
    queues: new Map(queues.map(({ queue, url }) => [queue, url])),
    deadLetters: new Map(queues.map(({ queue, deadLetters }) => [queue, deadLetters])),
  };
}

function readQueue(key: string, value: string, stack: string): z.infer<typeof queueSchema> {
  try {
    return queueSchema.parse(JSON.parse(value));
  } catch (cause) {
    throw failed(`the output ${key} of ${stack} is not what simhook writes there: deploy the stack again`, {
      cause,
    });
  }
}
