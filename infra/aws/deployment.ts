import { z } from 'zod';
import { durationSchema } from '../../shared/policy/notation.ts';

/** What an operator says about the AWS side of a stage: the named export `aws` of its file. Nothing here is secret. */
export const deploymentSchema = z.strictObject({
  account: z
    .string()
    .regex(/^\d{12}$/, 'an account is 12 digits')
    .nullable()
    .default(null)
    .describe('the only account that this stage may go to; null takes the one of the credentials'),
  region: z
    .string()
    .regex(/^[a-z]{2}(-[a-z]+)+-\d$/, 'a region is such as eu-central-1')
    .nullable()
    .default(null)
    .describe('the only region that this stage may go to; null takes the one of the credentials'),
  domain: z
    .strictObject({
      name: z.string().regex(/^[a-z0-9.-]{4,253}$/, 'a domain name is lower case, such as hooks.example.com'),
      certificateArn: z.string().regex(/^arn:aws[a-z-]*:acm:/, 'a certificate ARN starts with arn:aws:acm:'),
    })
    .nullable()
    .default(null)
    .describe('a domain of your own; AWS’s own address is then switched off'),
  alarmTopicArn: z
    .string()
    .regex(/^arn:aws[a-z-]*:sns:/, 'a topic ARN starts with arn:aws:sns:')
    .nullable()
    .default(null)
    .describe('the SNS topic that alarms go to; null leaves them in the console'),
  silence: z
    .record(z.string(), durationSchema)
    .default({})
    .describe('by provider: the longest time without a callback that is still usual, 1h to 24h; default 24h'),
});
export type Deployment = z.infer<typeof deploymentSchema>;
export type DeploymentInput = z.input<typeof deploymentSchema>;

/** Gives the `aws` export of a stage file its type. */
export function defineDeployment(deployment: DeploymentInput): DeploymentInput {
  return deployment;
}
