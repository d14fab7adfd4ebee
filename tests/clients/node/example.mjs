// Lists, creates, reads what does not exist and watches: node example.mjs [ADDRESS CLUSTER]
import { anyUnpack } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { OperationMetadata_Phase, OperationMetadataSchema, OperationService } from "./gen/cloudspan/v1/operation_pb.js";
import { ServerSchema, ServerService } from "./gen/cloudspan/v1/server_pb.js";
import { ErrorInfoSchema, ResourceInfoSchema } from "./gen/google/rpc/error_details_pb.js";

const [address = "127.0.0.1:7070", cluster = "platforms/memory/clusters/main"] = process.argv.slice(2);
const transport = createGrpcTransport({ baseUrl: `http://${address}` });
const servers = createClient(ServerService, transport);
const operations = createClient(OperationService, transport);

// The servers of all clusters, page by page. A cluster that does not answer is named; the others are listed.
let pageToken = "";
do {
  const page = await servers.listServers({ parent: "platforms/-/clusters/-", pageSize: 100, pageToken });
  for (const server of page.servers) console.log("listed", server.name);
  for (const name of page.unreachable) console.log("did not answer:", name);
  pageToken = page.nextPageToken;
} while (pageToken);

// A change answers with an operation; with x-wait it has usually ended by then, and holds the server.
const server = { displayName: "from-node", flavor: `${cluster}/flavors/small` };
const requestId = crypto.randomUUID(); // sent again with the same id, it creates no second server
const creation = await servers.createServer({ parent: cluster, server, requestId }, { headers: { "x-wait": "30s" } });
if (creation.result.case !== "response") throw new Error(`${creation.name}: ${creation.result.value?.message ?? "not done"}`);
const created = anyUnpack(creation.result.value, ServerSchema);
console.log("created", created.name);

// An error's details say why and about what.
try {
  await servers.getServer({ name: `${cluster}/servers/no-such-server` });
} catch (thrown) {
  const error = ConnectError.from(thrown);
  if (error.code !== Code.NotFound) throw error;
  const [info] = error.findDetails(ErrorInfoSchema);
  const [resource] = error.findDetails(ResourceInfoSchema);
  console.log("not found:", info.reason, info.metadata.recovery, resource.resourceName);
}

// Without x-wait the operation comes back at once; its stream ends when it is done.
const deletion = await servers.deleteServer({ name: created.name, requestId: crypto.randomUUID() });
let last = deletion;
for await (last of operations.watchOperation({ name: deletion.name })) {
  const progress = anyUnpack(last.metadata, OperationMetadataSchema);
  console.log("watched", OperationMetadata_Phase[progress.phase], progress.stage);
}
if (!last.done || last.result.case === "error") throw new Error(`${last.name}: ${last.result.value?.message ?? "not done"}`);
console.log("deleted", created.name);
