// What a Node program looks like that asks the portal as the documentation of gRPC shows it: unbundled, proto files read at each start, no
// database. Exit status 0: allowed, 3: denied, anything else: no answer.
const { readFileSync } = require('node:fs');
const { join } = require('node:path');
const grpc = require('@grpc/grpc-js');
const protoLoader = require('@grpc/proto-loader');

const { PORTAL, CERTIFICATES, USERNAME, GROUPNAME, ID, IP_REAL } = process.env;
const pem = (name) => readFileSync(join(CERTIFICATES, name));
const proto = protoLoader.loadSync('vpn/v1/auth.proto', {
  includeDirs: [join(__dirname, '..', '..', '..', 'proto')],
  keepCase: true,
});
const { AuthService } = grpc.loadPackageDefinition(proto).vpn.v1;
const credentials = grpc.credentials.createSsl(pem('ca.crt'), pem('agent.key'), pem('agent.crt'));
const client = new AuthService(PORTAL, credentials);
const now = Date.now();
const request = {
  username: USERNAME,
  groupname: GROUPNAME,
  client_ip: IP_REAL,
  session_id: ID,
  request_time: { seconds: Math.floor(now / 1_000), nanos: (now % 1_000) * 1e6 },
};
const metadata = new grpc.Metadata();
metadata.set('x-agent-id', 'peer');
client.CheckPolicy(request, metadata, { deadline: now + 8_000 }, (error, answer) => {
  if (error) {
    console.error(error.message);
    process.exit(2);
  }
  process.exit(answer.allowed ? 0 : 3);
});
