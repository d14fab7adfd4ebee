package example;

import com.google.longrunning.Operation;
import com.google.protobuf.Any;
import com.google.protobuf.InvalidProtocolBufferException;
import com.google.rpc.ErrorInfo;
import com.google.rpc.ResourceInfo;
import dev.cloudspan.v1.CreateServerRequest;
import dev.cloudspan.v1.DeleteServerRequest;
import dev.cloudspan.v1.GetServerRequest;
import dev.cloudspan.v1.ListServersRequest;
import dev.cloudspan.v1.ListServersResponse;
import dev.cloudspan.v1.OperationMetadata;
import dev.cloudspan.v1.OperationServiceGrpc;
import dev.cloudspan.v1.OperationServiceGrpc.OperationServiceBlockingStub;
import dev.cloudspan.v1.Server;
import dev.cloudspan.v1.ServerServiceGrpc;
import dev.cloudspan.v1.ServerServiceGrpc.ServerServiceBlockingStub;
import dev.cloudspan.v1.WatchOperationRequest;
import io.grpc.Grpc;
import io.grpc.InsecureChannelCredentials;
import io.grpc.ManagedChannel;
import io.grpc.Metadata;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import io.grpc.protobuf.StatusProto;
import io.grpc.stub.MetadataUtils;
import java.util.Iterator;
import java.util.UUID;

/** Lists, creates, reads what does not exist and watches; arguments: [ADDRESS CLUSTER]. */
public final class Example {
  private static final Metadata.Key<String> WAIT = Metadata.Key.of("x-wait", Metadata.ASCII_STRING_MARSHALLER);

  public static void main(String[] arguments) throws InvalidProtocolBufferException {
    String address = arguments.length == 2 ? arguments[0] : "127.0.0.1:7070";
    String cluster = arguments.length == 2 ? arguments[1] : "platforms/memory/clusters/main";
    ManagedChannel channel = Grpc.newChannelBuilder(address, InsecureChannelCredentials.create()).build();
    try {
      ServerServiceBlockingStub servers = ServerServiceGrpc.newBlockingStub(channel);
      list(servers);
      String name = create(servers, cluster);
      readMissing(servers, cluster);
      delete(servers, OperationServiceGrpc.newBlockingStub(channel), name);
    } finally {
      channel.shutdownNow();
    }
  }

  /** The servers of all clusters, page by page. A cluster that does not answer is named; the others are listed. */
  private static void list(ServerServiceBlockingStub servers) {
    ListServersRequest.Builder request = ListServersRequest.newBuilder().setParent("platforms/-/clusters/-").setPageSize(100);
    do {
      ListServersResponse page = servers.listServers(request.build());
      page.getServersList().forEach(server -> System.out.println("listed " + server.getName()));
      page.getUnreachableList().forEach(name -> System.out.println("did not answer: " + name));
      request.setPageToken(page.getNextPageToken());
    } while (!request.getPageToken().isEmpty());
  }

  /** A change answers with an operation; with x-wait it has usually ended by then, and holds the server. */
  private static String create(ServerServiceBlockingStub servers, String cluster) throws InvalidProtocolBufferException {
    Metadata headers = new Metadata();
    headers.put(WAIT, "30s");
    Operation operation = servers
        .withInterceptors(MetadataUtils.newAttachHeadersInterceptor(headers))
        .createServer(CreateServerRequest.newBuilder()
            .setParent(cluster)
            .setServer(Server.newBuilder().setDisplayName("from-java").setFlavor(cluster + "/flavors/small"))
            .setRequestId(UUID.randomUUID().toString()) // sent again with the same id, it creates no second server
            .build());
    requireSuccess(operation);
    Server created = operation.getResponse().unpack(Server.class);
    System.out.println("created " + created.getName());
    return created.getName();
  }

  /** An error's details say why and about what. */
  private static void readMissing(ServerServiceBlockingStub servers, String cluster) throws InvalidProtocolBufferException {
    try {
      servers.getServer(GetServerRequest.newBuilder().setName(cluster + "/servers/no-such-server").build());
    } catch (StatusRuntimeException error) {
      if (error.getStatus().getCode() != Status.Code.NOT_FOUND) {
        throw error;
      }
      ErrorInfo info = ErrorInfo.getDefaultInstance();
      ResourceInfo resource = ResourceInfo.getDefaultInstance();
      for (Any detail : StatusProto.fromThrowable(error).getDetailsList()) {
        if (detail.is(ErrorInfo.class)) {
          info = detail.unpack(ErrorInfo.class);
        } else if (detail.is(ResourceInfo.class)) {
          resource = detail.unpack(ResourceInfo.class);
        }
      }
      String recovery = info.getMetadataOrDefault("recovery", "");
      System.out.println("not found: " + info.getReason() + " " + recovery + " " + resource.getResourceName());
    }
  }

  /** Without x-wait the operation comes back at once; its stream ends when it is done. */
  private static void delete(ServerServiceBlockingStub servers, OperationServiceBlockingStub operations, String name)
      throws InvalidProtocolBufferException {
    String requestId = UUID.randomUUID().toString();
    Operation operation = servers.deleteServer(DeleteServerRequest.newBuilder().setName(name).setRequestId(requestId).build());
    Iterator<Operation> changes =
        operations.watchOperation(WatchOperationRequest.newBuilder().setName(operation.getName()).build());
    while (changes.hasNext()) {
      operation = changes.next();
      OperationMetadata progress = operation.getMetadata().unpack(OperationMetadata.class);
      System.out.println("watched " + progress.getPhase() + " " + progress.getStage());
    }
    requireSuccess(operation);
    System.out.println("deleted " + name);
  }

  private static void requireSuccess(Operation operation) {
    if (!operation.getDone() || operation.hasError()) {
      String reason = operation.getDone() ? operation.getError().getMessage() : "not done";
      throw new IllegalStateException(operation.getName() + ": " + reason);
    }
  }
}
