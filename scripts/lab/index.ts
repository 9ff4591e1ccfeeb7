/** Everything a test, the demo or the drill needs from the lab. */
export { binDir } from './binaries.ts';
export { Authority, type Certificate } from './certificates.ts';
export { Cluster, type ClusterMember, type ClusterOptions } from './cluster.ts';
export { Etcd, type EtcdMember, type EtcdSecurity, type KeyValue } from './etcd.ts';
export { HAProxy, validate } from './haproxy.ts';
export { CHECKOUT, type Exit, Lab, type LabProcess, withLab } from './lab.ts';
export { commandWith, merge, Node, type NodeOptions, type RestAnswer, TENURE } from './node.ts';
export { LOOPBACK, type Place } from './place.ts';
export { ACCOUNTS, connect, PostgresServer, query } from './postgres.ts';
export {
  ended,
  identify,
  isAlive,
  type ProcessId,
  processesIn,
  signalProcess,
} from './processes.ts';
export { type Answered, ask, type Trust } from './rest.ts';
export { pause, WaitedInVain, waitFor, within } from './wait.ts';
export { type Gap, SteadyWriter } from './writer.ts';
