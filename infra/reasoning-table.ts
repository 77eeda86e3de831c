import { RemovalPolicy } from 'aws-cdk-lib';
import {
  type Attribute,
  AttributeType,
  Billing,
  type ITableV2,
  ProjectionType,
  TableEncryptionV2,
  TableV2,
} from 'aws-cdk-lib/aws-dynamodb';
import type { IKey } from 'aws-cdk-lib/aws-kms';
import { Construct } from 'constructs';
import { TABLE } from '../shared/config/names.ts';
import type { DeploymentSettings } from '../shared/config/settings.ts';
import type { AttuneFunction } from './attune-function.ts';

const key = (name: string): Attribute => ({ name, type: AttributeType.STRING });

export interface ReasoningTableProps {
  /** An existing table to use instead of a new one. */
  readonly table?: ITableV2 | TableV2 | undefined;
  readonly encryptionKey?: IKey | undefined;
  /**
   * Default: the table stays when the stack is deleted, but not when its first deployment fails.
   */
  readonly removalPolicy: RemovalPolicy | undefined;
  readonly settings: DeploymentSettings;
}

/** The ReasoningBank's table: episodes and strategies. */
export class ReasoningTable extends Construct {
  readonly table: ITableV2 | TableV2;

  constructor(scope: Construct, id: string, props: ReasoningTableProps) {
    super(scope, id);
    this.table = props.table ?? this.createTable(props);
  }

  private createTable({ settings, encryptionKey, removalPolicy }: ReasoningTableProps): TableV2 {
    // An index has its own read limit; the write limit of the table covers it.
    const indexReadLimit = { maxReadRequestUnits: settings.tableMaxReadUnits };
    return new TableV2(this, 'Table', {
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
      ...(encryptionKey !== undefined && {
        encryption: TableEncryptionV2.customerManagedKey(encryptionKey),
      }),
      // With deletion protection, the table of a failed first deployment would stay behind.
      // Point-in-time recovery keeps a backup of a deleted table for 35 days.
      removalPolicy: removalPolicy ?? RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE,
    });
  }

  /** Grants a function these actions on single items. */
  allowItems(grantee: AttuneFunction, actions: readonly string[]): void {
    grantee.allow(actions, [this.table.tableArn]);
  }

  /** Lets a function query these indexes. */
  allowIndexQueries(grantee: AttuneFunction, indexes: readonly string[]): void {
    grantee.allow(
      ['dynamodb:Query'],
      indexes.map((index) => `${this.table.tableArn}/index/${index}`),
    );
  }
}
