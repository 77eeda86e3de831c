import { RemovalPolicy } from 'aws-cdk-lib';
import { type Attribute, AttributeType, Billing, ProjectionType, TableV2 } from 'aws-cdk-lib/aws-dynamodb';
import { Construct } from 'constructs';
import { TABLE } from '../shared/config/names.ts';
import type { DeploymentSettings } from '../shared/config/settings.ts';
import type { AttuneFunction } from './attune-function.ts';

const key = (name: string): Attribute => ({ name, type: AttributeType.STRING });

/** The ReasoningBank's table: episodes and strategies. */
export class ReasoningTable extends Construct {
  readonly table: TableV2;

  constructor(scope: Construct, id: string, settings: DeploymentSettings) {
    super(scope, id);
    // An index has its own read limit; the write limit of the table covers it.
    const indexReadLimit = { maxReadRequestUnits: settings.tableMaxReadUnits };
    this.table = new TableV2(this, 'Table', {
      partitionKey: key(TABLE.partitionKey),
      sortKey: key(TABLE.sortKey),
      timeToLiveAttribute: TABLE.expiresAt,
      billing: Billing.onDemand({
        maxReadRequestUnits: settings.tableMaxReadUnits,
        maxWriteRequestUnits: settings.tableMaxWriteUnits,
      }),
      globalSecondaryIndexes: [
        {
          indexName: TABLE.byCell.index,
          partitionKey: key(TABLE.byCell.partitionKey),
          sortKey: key(TABLE.byCell.sortKey),
          projectionType: ProjectionType.ALL,
          ...indexReadLimit,
        },
        {
          indexName: TABLE.newcomers.index,
          partitionKey: key(TABLE.newcomers.partitionKey),
          sortKey: key(TABLE.newcomers.sortKey),
          // Reads filter out expired items, and a filter sees only projected attributes.
          projectionType: ProjectionType.INCLUDE,
          nonKeyAttributes: [TABLE.expiresAt],
          ...indexReadLimit,
        },
      ],
      pointInTimeRecoverySpecification: { pointInTimeRecoveryEnabled: true },
      deletionProtection: true,
      removalPolicy: RemovalPolicy.RETAIN,
    });
  }

  /** Grants a function these actions on single items. */
  allowItems(grantee: AttuneFunction, actions: readonly string[]): void {
    grantee.allow(actions, [this.table.tableArn]);
  }

  /** Lets a function query the indexes. */
  allowIndexQueries(grantee: AttuneFunction): void {
    const indexes = [TABLE.byCell.index, TABLE.newcomers.index];
    grantee.allow(
      ['dynamodb:Query'],
      indexes.map((index) => `${this.table.tableArn}/index/${index}`),
    );
  }
}
