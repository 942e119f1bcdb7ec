import { CfnParameter, CfnRule, Fn } from 'aws-cdk-lib';
import { Construct } from 'constructs';
import type { SecretPurpose } from '../../shared/platform/secret-source.ts';
import type { Stage } from '../../shared/policy/stage.ts';
import { enoughMarks, secretMarkName, secretName } from '../names.ts';
import { pascal } from './units.ts';

const purposes: readonly SecretPurpose[] = ['callback', 'api'];

/**
 * Makes CloudFormation refuse the stack, before it touches anything, while a provider has no usable secret. The
 * template knows the marks that `npx simhook secrets set` leaves in Parameter Store and never a secret itself. A mark
 * that is missing fails the change set ("Unable to fetch parameters [/simhook/…] from parameter store"); one that says
 * too little for this stage fails a rule, with the command that mends it.
 *
 * An allowed pattern would not do: it says no reason that helps. Source: CloudFormation user guide, "Specify existing
 * resources at runtime with CloudFormation-supplied parameter types" (a value is fetched whenever a stack is created
 * or updated) and "CloudFormation template Rules syntax" (rules are held against the values before any resource is
 * made). CDK's own check of the bootstrap version is built the same way.
 */
export function requireSecrets(scope: Construct, stage: Stage): void {
  const folder = new Construct(scope, 'Requires');
  for (const { id, callbacks } of stage.providers) {
    for (const purpose of purposes) {
      const name = `Secret${pascal(id)}${pascal(purpose)}`;
      const mark = new CfnParameter(folder, name, {
        type: 'AWS::SSM::Parameter::Value<String>',
        default: secretMarkName(stage.name, id, purpose),
        description: `Says that the secret ${secretName(stage.name, id, purpose)} holds something; written by npx simhook secrets set`,
      });
      const needsToken = purpose === 'callback' && callbacks.acceptUnsigned;
      new CfnRule(folder, `${name}Rule`, {
        assertions: [
          {
            assert: Fn.conditionContains(
              [...enoughMarks(purpose, callbacks.acceptUnsigned)],
              mark.valueAsString,
            ),
            assertDescription: `${id} ${needsToken ? 'accepts unsigned callbacks, but its callback secret holds no path token' : `can not work: its ${purpose} secret holds no key`}: npx simhook secrets set --stage ${stage.name} --provider ${id} --purpose ${purpose}${needsToken ? ' --path-token' : ''}`,
          },
        ],
      });
    }
  }
}
