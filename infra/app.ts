import { App } from 'aws-cdk-lib';
import { makeApp } from './aws/simhook-app.ts';
import { loadStage, RefusedStageError, type Target } from './aws/stage-file.ts';

/**
 * What `cdk` runs: `npx cdk synth -c stage=production`. The command line hands over who it has credentials for; without
 * an account, the region that it names is a mere default and would tie the template to it.
 */
const account = process.env.CDK_DEFAULT_ACCOUNT || null;
const target: Target = { account, region: account === null ? null : process.env.CDK_DEFAULT_REGION || null };

const app = new App({ autoSynth: false });
try {
  await makeApp(app, await loadStage(app.node.tryGetContext('stage'), target), target);
  app.synth();
} catch (error) {
  if (!(error instanceof RefusedStageError)) throw error;
  process.stderr.write(`${error.message}\n`);
  process.exitCode = 1;
}
