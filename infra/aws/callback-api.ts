import { CfnOutput, Validations } from 'aws-cdk-lib';
import { AccessLogFormat } from 'aws-cdk-lib/aws-apigateway';
import {
  ApiMapping,
  CfnStage,
  DomainName,
  HttpApi,
  HttpMethod,
  HttpStage,
  LogGroupLogDestination,
  SecurityPolicy,
} from 'aws-cdk-lib/aws-apigatewayv2';
import { HttpLambdaIntegration } from 'aws-cdk-lib/aws-apigatewayv2-integrations';
import { Certificate } from 'aws-cdk-lib/aws-certificatemanager';
import type { Function as LambdaFunction } from 'aws-cdk-lib/aws-lambda';
import type { ILogGroup } from 'aws-cdk-lib/aws-logs';
import { Construct } from 'constructs';
import type { ReceivingProvider } from '../../shared/policy/stage.ts';
import { topology } from '../topology.ts';
import { accessLogFields } from './access-log.ts';
import type { Deployment } from './deployment.ts';
import { pascal } from './units.ts';

export interface CallbackApiProps {
  readonly receive: LambdaFunction;
  readonly providers: readonly ReceivingProvider[];
  readonly domain: Deployment['domain'];
  readonly accessLogs: ILogGroup;
}

/**
 * The only door from outside: each provider's callback path, and the same with a secret token behind it. What has no
 * route never reaches a function.
 */
export class CallbackApi extends Construct {
  readonly api: HttpApi;
  readonly stage: HttpStage;

  constructor(scope: Construct, id: string, props: CallbackApiProps) {
    super(scope, id);
    this.api = new HttpApi(this, 'Api', {
      description: 'simhook: provider callbacks',
      createDefaultStage: false,
      disableExecuteApiEndpoint: props.domain !== null,
    });
    const paths = props.providers.flatMap(({ callbackPath }) => [callbackPath, `${callbackPath}/{token}`]);
    const integration = new HttpLambdaIntegration('Receive', props.receive);
    const routes = paths.flatMap((path) =>
      this.api.addRoutes({ path, methods: [HttpMethod.ANY], integration }),
    );
    for (const route of routes) {
      Validations.of(route).acknowledge({
        id: 'AwsSolutions-APIG4',
        reason:
          'Providers can not sign for AWS. The function verifies their own signature, or the secret path with a query, before anything is stored.',
      });
    }
    this.stage = this.makeStage(props.accessLogs, paths);
    this.stage.node.addDependency(...routes);
    if (props.domain !== null) this.addDomain(props.domain);
    for (const { id: provider, callbackPath } of props.providers) {
      const base = props.domain === null ? this.api.apiEndpoint : `https://${props.domain.name}`;
      new CfnOutput(this, `Callback${pascal(provider)}`, {
        description: `Give this address to ${provider}; where its secret has a path token, the token follows after a slash`,
        value: `${base}${callbackPath}`,
      });
    }
  }

  private makeStage(accessLogs: ILogGroup, paths: readonly string[]): HttpStage {
    const throttle = {
      ThrottlingRateLimit: topology.api.requestsPerSec,
      ThrottlingBurstLimit: topology.api.burst,
    };
    const stage = new HttpStage(this, 'Stage', {
      httpApi: this.api,
      stageName: '$default',
      autoDeploy: true,
      throttle: { rateLimit: topology.api.requestsPerSec, burstLimit: topology.api.burst },
      accessLogSettings: {
        destination: new LogGroupLogDestination(accessLogs),
        format: AccessLogFormat.custom(JSON.stringify(accessLogFields)),
      },
    });
    const resource = stage.node.defaultChild;
    if (!(resource instanceof CfnStage)) throw new Error('the API stage has no resource of its own');
    resource.routeSettings = Object.fromEntries(paths.map((path) => [`ANY ${path}`, throttle]));
    return stage;
  }

  private addDomain(domain: NonNullable<Deployment['domain']>): void {
    const domainName = new DomainName(this, 'Domain', {
      domainName: domain.name,
      certificate: Certificate.fromCertificateArn(this, 'Certificate', domain.certificateArn),
      securityPolicy: SecurityPolicy.TLS_1_2,
    });
    new ApiMapping(this, 'Mapping', { api: this.api, domainName, stage: this.stage });
    new CfnOutput(this, 'DomainTarget', {
      description: `Point a CNAME or alias record of ${domain.name} here`,
      value: domainName.regionalDomainName,
    });
  }
}
