// Lists, creates, reads what does not exist and watches: go run . [ADDRESS CLUSTER]
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"time"

	longrunning "cloud.google.com/go/longrunning/autogen/longrunningpb"
	cloudspan "cloudspan.dev/go/cloudspan/v1"
	"github.com/google/uuid"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

func main() {
	address, cluster := "127.0.0.1:7070", "platforms/memory/clusters/main"
	if len(os.Args) == 3 {
		address, cluster = os.Args[1], os.Args[2]
	}
	if err := run(address, cluster); err != nil {
		log.Fatal(err)
	}
}

func run(address, cluster string) error {
	connection, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return err
	}
	defer connection.Close()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	servers := cloudspan.NewServerServiceClient(connection)
	if err := list(ctx, servers); err != nil {
		return err
	}
	name, err := create(ctx, servers, cluster)
	if err != nil {
		return err
	}
	if err := readMissing(ctx, servers, cluster); err != nil {
		return err
	}
	return remove(ctx, servers, cloudspan.NewOperationServiceClient(connection), name)
}

// The servers of all clusters, page by page. A cluster that does not answer is named; the others are listed.
func list(ctx context.Context, servers cloudspan.ServerServiceClient) error {
	request := &cloudspan.ListServersRequest{Parent: "platforms/-/clusters/-", PageSize: 100}
	for {
		page, err := servers.ListServers(ctx, request)
		if err != nil {
			return err
		}
		for _, server := range page.Servers {
			fmt.Println("listed", server.Name)
		}
		for _, name := range page.Unreachable {
			fmt.Println("did not answer:", name)
		}
		if request.PageToken = page.NextPageToken; request.PageToken == "" {
			return nil
		}
	}
}

// A change answers with an operation; with x-wait it has usually ended by then, and holds the server.
func create(ctx context.Context, servers cloudspan.ServerServiceClient, cluster string) (string, error) {
	operation, err := servers.CreateServer(metadata.AppendToOutgoingContext(ctx, "x-wait", "30s"), &cloudspan.CreateServerRequest{
		Parent:    cluster,
		Server:    &cloudspan.Server{DisplayName: "from-go", Flavor: cluster + "/flavors/small"},
		RequestId: uuid.NewString(), // sent again with the same id, it creates no second server
	})
	if err != nil {
		return "", err
	}
	if err := ended(operation); err != nil {
		return "", err
	}
	created := &cloudspan.Server{}
	if err := operation.GetResponse().UnmarshalTo(created); err != nil {
		return "", err
	}
	fmt.Println("created", created.Name)
	return created.Name, nil
}

// An error's details say why and about what.
func readMissing(ctx context.Context, servers cloudspan.ServerServiceClient, cluster string) error {
	_, err := servers.GetServer(ctx, &cloudspan.GetServerRequest{Name: cluster + "/servers/no-such-server"})
	failure := status.Convert(err)
	if failure.Code() != codes.NotFound {
		return fmt.Errorf("NOT_FOUND was expected: %w", err)
	}
	var info *errdetails.ErrorInfo
	var resource *errdetails.ResourceInfo
	for _, detail := range failure.Details() {
		switch detail := detail.(type) {
		case *errdetails.ErrorInfo:
			info = detail
		case *errdetails.ResourceInfo:
			resource = detail
		}
	}
	fmt.Println("not found:", info.GetReason(), info.GetMetadata()["recovery"], resource.GetResourceName())
	return nil
}

// Without x-wait the operation comes back at once; its stream ends when it is done.
func remove(ctx context.Context, servers cloudspan.ServerServiceClient, operations cloudspan.OperationServiceClient, name string) error {
	operation, err := servers.DeleteServer(ctx, &cloudspan.DeleteServerRequest{Name: name, RequestId: uuid.NewString()})
	if err != nil {
		return err
	}
	changes, err := operations.WatchOperation(ctx, &cloudspan.WatchOperationRequest{Name: operation.Name})
	if err != nil {
		return err
	}
	for {
		change, err := changes.Recv()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		operation = change
		progress := &cloudspan.OperationMetadata{}
		if err := operation.Metadata.UnmarshalTo(progress); err != nil {
			return err
		}
		fmt.Println("watched", progress.Phase, progress.Stage)
	}
	if err := ended(operation); err != nil {
		return err
	}
	fmt.Println("deleted", name)
	return nil
}

func ended(operation *longrunning.Operation) error {
	if !operation.Done {
		return fmt.Errorf("%s is not done", operation.Name)
	}
	return status.FromProto(operation.GetError()).Err()
}
