"""The services of the contract. Written by `make proto`; do not edit."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cloudspan.v1 import audit_pb2
from cloudspan.v1 import cluster_pb2
from cloudspan.v1 import event_pb2
from cloudspan.v1 import flavor_pb2
from cloudspan.v1 import floating_ip_pb2
from cloudspan.v1 import image_pb2
from cloudspan.v1 import inventory_pb2
from cloudspan.v1 import key_pair_pb2
from cloudspan.v1 import network_pb2
from cloudspan.v1 import operation_pb2
from cloudspan.v1 import orphan_pb2
from cloudspan.v1 import platform_pb2
from cloudspan.v1 import policy_pb2
from cloudspan.v1 import port_pb2
from cloudspan.v1 import project_pb2
from cloudspan.v1 import quota_pb2
from cloudspan.v1 import router_pb2
from cloudspan.v1 import security_group_pb2
from cloudspan.v1 import server_pb2
from cloudspan.v1 import session_pb2
from cloudspan.v1 import snapshot_pb2
from cloudspan.v1 import subnet_pb2
from cloudspan.v1 import tenant_pb2
from cloudspan.v1 import user_pb2
from cloudspan.v1 import volume_pb2
from cloudspan.v1 import volume_type_pb2
from cloudspan.v1 import webhook_pb2
from cloudspan.v1 import zone_pb2
from google.longrunning import operations_pb2
from google.protobuf import empty_pb2

if TYPE_CHECKING:
    from cloudspan.client.aio_calls import Calls


class AuditService:
    """Reads the audit: who did what, in an append-only chain."""

    def __init__(self, calls: Calls) -> None:
        self.ListAuditEvents = calls.pages("/cloudspan.v1.AuditService/ListAuditEvents", audit_pb2.ListAuditEventsRequest, audit_pb2.ListAuditEventsResponse, audit_pb2.AuditEvent)
        """Lists events, the newest first; of the caller's tenant, and of all tenants to administrators of the
        installation."""


class ClusterService:
    """Lists clusters and what they can do, and checks the connection to one."""

    def __init__(self, calls: Calls) -> None:
        self.GetCluster = calls.unary("/cloudspan.v1.ClusterService/GetCluster", cluster_pb2.GetClusterRequest, cluster_pb2.Cluster)
        """Gets one cluster."""
        self.ListClusters = calls.pages("/cloudspan.v1.ClusterService/ListClusters", cluster_pb2.ListClustersRequest, cluster_pb2.ListClustersResponse, cluster_pb2.Cluster)
        """Lists the clusters of one platform, or of all with the wildcard `platforms/-`."""
        self.GetCapabilities = calls.unary("/cloudspan.v1.ClusterService/GetCapabilities", cluster_pb2.GetCapabilitiesRequest, cluster_pb2.GetCapabilitiesResponse)
        """Gets what can be called on a cluster, and how well each method and field is served."""
        self.CheckCluster = calls.unary("/cloudspan.v1.ClusterService/CheckCluster", cluster_pb2.CheckClusterRequest, cluster_pb2.CheckClusterResponse)
        """Checks the connection to a cluster stage by stage and reports where it fails and what to do."""


class InventoryService:
    """Answers from what the gateway keeps of all clusters: finds, counts and follows resources without asking a
    platform."""

    def __init__(self, calls: Calls) -> None:
        self.Search = calls.pages("/cloudspan.v1.InventoryService/Search", inventory_pb2.SearchRequest, inventory_pb2.SearchResponse, inventory_pb2.StoredResource)
        """Finds resources of all kinds by one text or a filter."""
        self.Summarize = calls.unary("/cloudspan.v1.InventoryService/Summarize", inventory_pb2.SummarizeRequest, inventory_pb2.SummarizeResponse)
        """Counts resources and sums up what they use, by cluster, state, project, flavor or a label."""
        self.Watch = calls.stream("/cloudspan.v1.InventoryService/Watch", inventory_pb2.WatchRequest, inventory_pb2.WatchResponse)
        """Sends the resources as they are, then their changes, until the caller leaves."""
        self.SyncNow = calls.unary("/cloudspan.v1.InventoryService/SyncNow", inventory_pb2.SyncNowRequest, inventory_pb2.SyncNowResponse)
        """Reads collections from the platform now, and returns what came of it."""
        self.GetSyncState = calls.unary("/cloudspan.v1.InventoryService/GetSyncState", inventory_pb2.GetSyncStateRequest, inventory_pb2.GetSyncStateResponse)
        """Says how fresh and how complete the inventory is, and why it holds nothing where it doesn't."""


class OperationService:
    """Follows and explains operations, beyond what google.longrunning.Operations can."""

    def __init__(self, calls: Calls) -> None:
        self.ListOperations = calls.pages("/google.longrunning.Operations/ListOperations", operations_pb2.ListOperationsRequest, operations_pb2.ListOperationsResponse, operations_pb2.Operation)
        """Lists operations that match the specified filter in the request. If the server doesn't support this method,
        it returns `UNIMPLEMENTED`."""
        self.GetOperation = calls.unary("/google.longrunning.Operations/GetOperation", operations_pb2.GetOperationRequest, operations_pb2.Operation)
        """Gets the latest state of a long-running operation. Clients can use this method to poll the operation result
        at intervals as recommended by the API service."""
        self.DeleteOperation = calls.unary("/google.longrunning.Operations/DeleteOperation", operations_pb2.DeleteOperationRequest, empty_pb2.Empty)
        """Deletes a long-running operation. This method indicates that the client is no longer interested in the
        operation result. It does not cancel the operation. If the server doesn't support this method, it returns
        `google.rpc.Code.UNIMPLEMENTED`."""
        self.CancelOperation = calls.unary("/google.longrunning.Operations/CancelOperation", operations_pb2.CancelOperationRequest, empty_pb2.Empty)
        """Starts asynchronous cancellation on a long-running operation. The server makes a best effort to cancel the
        operation, but success is not guaranteed. If the server doesn't support this method, it returns
        `google.rpc.Code.UNIMPLEMENTED`. Clients can use
        [Operations.GetOperation][google.longrunning.Operations.GetOperation] or other methods to check whether the
        cancellation succeeded or whether the operation completed despite cancellation. On successful cancellation,
        the operation is not deleted; instead, it becomes an operation with an
        [Operation.error][google.longrunning.Operation.error] value with a
        [google.rpc.Status.code][google.rpc.Status.code] of `1`, corresponding to `Code.CANCELLED`."""
        self.WaitOperation = calls.unary("/google.longrunning.Operations/WaitOperation", operations_pb2.WaitOperationRequest, operations_pb2.Operation)
        """Waits until the specified long-running operation is done or reaches at most a specified timeout, returning
        the latest state. If the operation is already done, the latest state is immediately returned. If the timeout
        specified is greater than the default HTTP/RPC timeout, the HTTP/RPC timeout is used. If the server does not
        support this method, it returns `google.rpc.Code.UNIMPLEMENTED`. Note that this method is on a best-effort
        basis. It may return the latest state before the specified timeout (including immediately), meaning even an
        immediate response is no guarantee that the operation is done."""
        self.WatchOperation = calls.stream("/cloudspan.v1.OperationService/WatchOperation", operation_pb2.WatchOperationRequest, operations_pb2.Operation)
        """Streams an operation: at once as it is, then at each change, and ends when it is done."""
        self.ExplainOperation = calls.unary("/cloudspan.v1.OperationService/ExplainOperation", operation_pb2.ExplainOperationRequest, operation_pb2.OperationExplanation)
        """Reports what an operation did: its stages, and under each the calls to the platform."""
        self.AbandonOperation = calls.unary("/cloudspan.v1.OperationService/AbandonOperation", operation_pb2.AbandonOperationRequest, operations_pb2.Operation)
        """Ends an operation that can't continue, such as one of a cluster that is gone for good."""


class EventService:
    """Tells what has happened: how operations ended, what changed on the clouds, which clusters can be used, what was
    refused."""

    def __init__(self, calls: Calls) -> None:
        self.ListEvents = calls.pages("/cloudspan.v1.EventService/ListEvents", event_pb2.ListEventsRequest, event_pb2.ListEventsResponse, event_pb2.Event)
        """Lists events that are kept, the newest first."""
        self.WatchEvents = calls.stream("/cloudspan.v1.EventService/WatchEvents", event_pb2.WatchEventsRequest, event_pb2.WatchEventsResponse)
        """Sends events as they happen, until the caller leaves."""
        self.AcknowledgeEvents = calls.unary("/cloudspan.v1.EventService/AcknowledgeEvents", event_pb2.AcknowledgeEventsRequest, event_pb2.EventConsumer)
        """Keeps how far a consumer has come: its next WatchEvents goes on there."""
        self.GetEventConsumer = calls.unary("/cloudspan.v1.EventService/GetEventConsumer", event_pb2.GetEventConsumerRequest, event_pb2.EventConsumer)
        """Gets a consumer."""
        self.ListEventConsumers = calls.pages("/cloudspan.v1.EventService/ListEventConsumers", event_pb2.ListEventConsumersRequest, event_pb2.ListEventConsumersResponse, event_pb2.EventConsumer)
        """Lists the consumers of a tenant, by name."""
        self.DeleteEventConsumer = calls.unary("/cloudspan.v1.EventService/DeleteEventConsumer", event_pb2.DeleteEventConsumerRequest, empty_pb2.Empty)
        """Forgets a consumer and its place. A stream that reads as it ends."""


class FlavorService:
    """Reads the sizes that servers come in."""

    def __init__(self, calls: Calls) -> None:
        self.GetFlavor = calls.unary("/cloudspan.v1.FlavorService/GetFlavor", flavor_pb2.GetFlavorRequest, flavor_pb2.Flavor)
        """Gets one flavor."""
        self.ListFlavors = calls.pages("/cloudspan.v1.FlavorService/ListFlavors", flavor_pb2.ListFlavorsRequest, flavor_pb2.ListFlavorsResponse, flavor_pb2.Flavor)
        """Lists flavors of one cluster, or of many with the wildcard `-` in the parent."""


class FloatingIpService:
    """Manages public addresses."""

    def __init__(self, calls: Calls) -> None:
        self.GetFloatingIp = calls.unary("/cloudspan.v1.FloatingIpService/GetFloatingIp", floating_ip_pb2.GetFloatingIpRequest, floating_ip_pb2.FloatingIp)
        """Gets one floating IP."""
        self.ListFloatingIps = calls.pages("/cloudspan.v1.FloatingIpService/ListFloatingIps", floating_ip_pb2.ListFloatingIpsRequest, floating_ip_pb2.ListFloatingIpsResponse, floating_ip_pb2.FloatingIp)
        """Lists floating IPs of one cluster, or of many with the wildcard `-` in the parent."""
        self.CreateFloatingIp = calls.mutation("/cloudspan.v1.FloatingIpService/CreateFloatingIp", floating_ip_pb2.CreateFloatingIpRequest, floating_ip_pb2.FloatingIp)
        """Allocates a floating IP from an external network. It leads nowhere until AssociateFloatingIp."""
        self.UpdateFloatingIp = calls.mutation("/cloudspan.v1.FloatingIpService/UpdateFloatingIp", floating_ip_pb2.UpdateFloatingIpRequest, floating_ip_pb2.FloatingIp)
        """Changes a floating IP's name, description or labels."""
        self.DeleteFloatingIp = calls.mutation("/cloudspan.v1.FloatingIpService/DeleteFloatingIp", floating_ip_pb2.DeleteFloatingIpRequest, empty_pb2.Empty)
        """Releases a floating IP, associated or not."""
        self.AssociateFloatingIp = calls.mutation("/cloudspan.v1.FloatingIpService/AssociateFloatingIp", floating_ip_pb2.AssociateFloatingIpRequest, floating_ip_pb2.FloatingIp)
        """Makes a floating IP lead to a port, or to a server's port."""
        self.DisassociateFloatingIp = calls.mutation("/cloudspan.v1.FloatingIpService/DisassociateFloatingIp", floating_ip_pb2.DisassociateFloatingIpRequest, floating_ip_pb2.FloatingIp)
        """Makes a floating IP lead nowhere; succeeds when it already does. The address stays allocated."""


class ImageService:
    """Reads the images that servers boot from."""

    def __init__(self, calls: Calls) -> None:
        self.GetImage = calls.unary("/cloudspan.v1.ImageService/GetImage", image_pb2.GetImageRequest, image_pb2.Image)
        """Gets one image."""
        self.ListImages = calls.pages("/cloudspan.v1.ImageService/ListImages", image_pb2.ListImagesRequest, image_pb2.ListImagesResponse, image_pb2.Image)
        """Lists images of one cluster, or of many with the wildcard `-` in the parent."""


class KeyPairService:
    """Manages public keys for new servers."""

    def __init__(self, calls: Calls) -> None:
        self.GetKeyPair = calls.unary("/cloudspan.v1.KeyPairService/GetKeyPair", key_pair_pb2.GetKeyPairRequest, key_pair_pb2.KeyPair)
        """Gets one key pair."""
        self.ListKeyPairs = calls.pages("/cloudspan.v1.KeyPairService/ListKeyPairs", key_pair_pb2.ListKeyPairsRequest, key_pair_pb2.ListKeyPairsResponse, key_pair_pb2.KeyPair)
        """Lists key pairs of one cluster, or of many with the wildcard `-` in the parent."""
        self.CreateKeyPair = calls.mutation("/cloudspan.v1.KeyPairService/CreateKeyPair", key_pair_pb2.CreateKeyPairRequest, key_pair_pb2.KeyPair)
        """Imports a public key."""
        self.DeleteKeyPair = calls.mutation("/cloudspan.v1.KeyPairService/DeleteKeyPair", key_pair_pb2.DeleteKeyPairRequest, empty_pb2.Empty)
        """Deletes a key pair. Servers that have the key keep it."""


class SubnetService:
    """Manages ranges of addresses."""

    def __init__(self, calls: Calls) -> None:
        self.GetSubnet = calls.unary("/cloudspan.v1.SubnetService/GetSubnet", subnet_pb2.GetSubnetRequest, subnet_pb2.Subnet)
        """Gets one subnet."""
        self.ListSubnets = calls.pages("/cloudspan.v1.SubnetService/ListSubnets", subnet_pb2.ListSubnetsRequest, subnet_pb2.ListSubnetsResponse, subnet_pb2.Subnet)
        """Lists subnets of one cluster, or of many with the wildcard `-` in the parent."""
        self.CreateSubnet = calls.mutation("/cloudspan.v1.SubnetService/CreateSubnet", subnet_pb2.CreateSubnetRequest, subnet_pb2.Subnet)
        """Creates a subnet in a network."""
        self.DeleteSubnet = calls.mutation("/cloudspan.v1.SubnetService/DeleteSubnet", subnet_pb2.DeleteSubnetRequest, empty_pb2.Empty)
        """Deletes a subnet."""


class NetworkService:
    """Manages networks."""

    def __init__(self, calls: Calls) -> None:
        self.GetNetwork = calls.unary("/cloudspan.v1.NetworkService/GetNetwork", network_pb2.GetNetworkRequest, network_pb2.Network)
        """Gets one network."""
        self.ListNetworks = calls.pages("/cloudspan.v1.NetworkService/ListNetworks", network_pb2.ListNetworksRequest, network_pb2.ListNetworksResponse, network_pb2.Network)
        """Lists networks of one cluster, or of many with the wildcard `-` in the parent."""
        self.CreateNetwork = calls.mutation("/cloudspan.v1.NetworkService/CreateNetwork", network_pb2.CreateNetworkRequest, network_pb2.Network)
        """Creates a network, with subnets and a router if asked for, and waits until it is active."""
        self.DeleteNetwork = calls.mutation("/cloudspan.v1.NetworkService/DeleteNetwork", network_pb2.DeleteNetworkRequest, empty_pb2.Empty)
        """Deletes a network."""


class OrphanService:
    """Finds resources that operations of this installation created and that nobody uses: late duplicates, and what
    could not be undone. Goes by the marks that creates carry; what other installations or people created is never
    listed."""

    def __init__(self, calls: Calls) -> None:
        self.ListOrphans = calls.pages("/cloudspan.v1.OrphanService/ListOrphans", orphan_pb2.ListOrphansRequest, orphan_pb2.ListOrphansResponse, orphan_pb2.Orphan)
        """Lists the orphans of one cluster."""
        self.DeleteOrphan = calls.unary("/cloudspan.v1.OrphanService/DeleteOrphan", orphan_pb2.DeleteOrphanRequest, orphan_pb2.DeleteOrphanResponse)
        """Deletes one orphan, if it is still one."""


class PlatformService:
    """Lists the platforms that adapters serve."""

    def __init__(self, calls: Calls) -> None:
        self.GetPlatform = calls.unary("/cloudspan.v1.PlatformService/GetPlatform", platform_pb2.GetPlatformRequest, platform_pb2.Platform)
        """Gets one platform."""
        self.ListPlatforms = calls.pages("/cloudspan.v1.PlatformService/ListPlatforms", platform_pb2.ListPlatformsRequest, platform_pb2.ListPlatformsResponse, platform_pb2.Platform)
        """Lists the platforms known now, those without a running instance included."""


class PolicyService:
    """Manages who may do what: a binding gives a member a role on one pool of a tenant, or on all of them."""

    def __init__(self, calls: Calls) -> None:
        self.CreateRole = calls.unary("/cloudspan.v1.PolicyService/CreateRole", policy_pb2.CreateRoleRequest, policy_pb2.Role)
        """Creates a role."""
        self.GetRole = calls.unary("/cloudspan.v1.PolicyService/GetRole", policy_pb2.GetRoleRequest, policy_pb2.Role)
        """Gets a role."""
        self.ListRoles = calls.pages("/cloudspan.v1.PolicyService/ListRoles", policy_pb2.ListRolesRequest, policy_pb2.ListRolesResponse, policy_pb2.Role)
        """Lists the roles, built-in ones included, by name."""
        self.UpdateRole = calls.unary("/cloudspan.v1.PolicyService/UpdateRole", policy_pb2.UpdateRoleRequest, policy_pb2.Role)
        """Changes a role; works within a second on every gateway."""
        self.DeleteRole = calls.unary("/cloudspan.v1.PolicyService/DeleteRole", policy_pb2.DeleteRoleRequest, empty_pb2.Empty)
        """Deletes a role. FAILED_PRECONDITION while bindings name it, and for built-in roles."""
        self.CreateBinding = calls.unary("/cloudspan.v1.PolicyService/CreateBinding", policy_pb2.CreateBindingRequest, policy_pb2.Binding)
        """Creates a binding."""
        self.GetBinding = calls.unary("/cloudspan.v1.PolicyService/GetBinding", policy_pb2.GetBindingRequest, policy_pb2.Binding)
        """Gets a binding."""
        self.ListBindings = calls.pages("/cloudspan.v1.PolicyService/ListBindings", policy_pb2.ListBindingsRequest, policy_pb2.ListBindingsResponse, policy_pb2.Binding)
        """Lists the bindings of a tenant, by name."""
        self.UpdateBinding = calls.unary("/cloudspan.v1.PolicyService/UpdateBinding", policy_pb2.UpdateBindingRequest, policy_pb2.Binding)
        """Changes a binding; works within a second on every gateway."""
        self.DeleteBinding = calls.unary("/cloudspan.v1.PolicyService/DeleteBinding", policy_pb2.DeleteBindingRequest, empty_pb2.Empty)
        """Deletes a binding: takes the role away."""
        self.TestPermissions = calls.unary("/cloudspan.v1.PolicyService/TestPermissions", policy_pb2.TestPermissionsRequest, policy_pb2.TestPermissionsResponse)
        """Tells which of some permissions the caller has, without doing anything."""


class PortService:
    """Reads ports."""

    def __init__(self, calls: Calls) -> None:
        self.GetPort = calls.unary("/cloudspan.v1.PortService/GetPort", port_pb2.GetPortRequest, port_pb2.Port)
        """Gets one port."""
        self.ListPorts = calls.pages("/cloudspan.v1.PortService/ListPorts", port_pb2.ListPortsRequest, port_pb2.ListPortsResponse, port_pb2.Port)
        """Lists ports of one cluster, or of many with the wildcard `-` in the parent."""


class ProjectService:
    """Reads the projects that own resources."""

    def __init__(self, calls: Calls) -> None:
        self.GetProject = calls.unary("/cloudspan.v1.ProjectService/GetProject", project_pb2.GetProjectRequest, project_pb2.Project)
        """Gets one project."""
        self.ListProjects = calls.pages("/cloudspan.v1.ProjectService/ListProjects", project_pb2.ListProjectsRequest, project_pb2.ListProjectsResponse, project_pb2.Project)
        """Lists projects of one cluster, or of many with the wildcard `-` in the parent."""


class QuotaService:
    """Reads what projects may use."""

    def __init__(self, calls: Calls) -> None:
        self.GetQuota = calls.unary("/cloudspan.v1.QuotaService/GetQuota", quota_pb2.GetQuotaRequest, quota_pb2.Quota)
        """Gets one quota."""
        self.ListQuotas = calls.pages("/cloudspan.v1.QuotaService/ListQuotas", quota_pb2.ListQuotasRequest, quota_pb2.ListQuotasResponse, quota_pb2.Quota)
        """Lists quotas of one cluster, or of many with the wildcard `-` in the parent."""


class RouterService:
    """Reads routers."""

    def __init__(self, calls: Calls) -> None:
        self.GetRouter = calls.unary("/cloudspan.v1.RouterService/GetRouter", router_pb2.GetRouterRequest, router_pb2.Router)
        """Gets one router."""
        self.ListRouters = calls.pages("/cloudspan.v1.RouterService/ListRouters", router_pb2.ListRoutersRequest, router_pb2.ListRoutersResponse, router_pb2.Router)
        """Lists routers of one cluster, or of many with the wildcard `-` in the parent."""


class SecurityGroupService:
    """Manages which packets are let through."""

    def __init__(self, calls: Calls) -> None:
        self.GetSecurityGroup = calls.unary("/cloudspan.v1.SecurityGroupService/GetSecurityGroup", security_group_pb2.GetSecurityGroupRequest, security_group_pb2.SecurityGroup)
        """Gets one security group."""
        self.ListSecurityGroups = calls.pages("/cloudspan.v1.SecurityGroupService/ListSecurityGroups", security_group_pb2.ListSecurityGroupsRequest, security_group_pb2.ListSecurityGroupsResponse, security_group_pb2.SecurityGroup)
        """Lists security groups of one cluster, or of many with the wildcard `-` in the parent."""
        self.CreateSecurityGroup = calls.mutation("/cloudspan.v1.SecurityGroupService/CreateSecurityGroup", security_group_pb2.CreateSecurityGroupRequest, security_group_pb2.SecurityGroup)
        """Creates a security group, with rules if asked for."""
        self.UpdateSecurityGroup = calls.mutation("/cloudspan.v1.SecurityGroupService/UpdateSecurityGroup", security_group_pb2.UpdateSecurityGroupRequest, security_group_pb2.SecurityGroup)
        """Changes a security group's name, description, labels or statefulness. ReplaceRules, AddRules and
        RemoveRules change its rules."""
        self.DeleteSecurityGroup = calls.mutation("/cloudspan.v1.SecurityGroupService/DeleteSecurityGroup", security_group_pb2.DeleteSecurityGroupRequest, empty_pb2.Empty)
        """Deletes a security group."""
        self.ReplaceRules = calls.mutation("/cloudspan.v1.SecurityGroupService/ReplaceRules", security_group_pb2.ReplaceRulesRequest, security_group_pb2.SecurityGroup)
        """Makes a group's rules those of the request, by as few changes as that takes."""
        self.AddRules = calls.mutation("/cloudspan.v1.SecurityGroupService/AddRules", security_group_pb2.AddRulesRequest, security_group_pb2.SecurityGroup)
        """Adds rules to a group; one that it has already stays as it is, and is not an error."""
        self.RemoveRules = calls.mutation("/cloudspan.v1.SecurityGroupService/RemoveRules", security_group_pb2.RemoveRulesRequest, security_group_pb2.SecurityGroup)
        """Removes rules from a group by their ids."""


class ServerService:
    """Manages virtual machines."""

    def __init__(self, calls: Calls) -> None:
        self.GetServer = calls.unary("/cloudspan.v1.ServerService/GetServer", server_pb2.GetServerRequest, server_pb2.Server)
        """Gets one server."""
        self.ListServers = calls.pages("/cloudspan.v1.ServerService/ListServers", server_pb2.ListServersRequest, server_pb2.ListServersResponse, server_pb2.Server)
        """Lists servers of one cluster, or of many with the wildcard `-` in the parent."""
        self.CreateServer = calls.mutation("/cloudspan.v1.ServerService/CreateServer", server_pb2.CreateServerRequest, server_pb2.Server)
        """Creates a server, with its ports, volumes and floating IPs if asked for, and waits until it runs."""
        self.DeleteServer = calls.mutation("/cloudspan.v1.ServerService/DeleteServer", server_pb2.DeleteServerRequest, empty_pb2.Empty)
        """Deletes a server and waits until the platform no longer has it."""
        self.StartServer = calls.mutation("/cloudspan.v1.ServerService/StartServer", server_pb2.StartServerRequest, server_pb2.Server)
        """Starts a stopped server and waits until it runs. Succeeds at once when it already runs."""
        self.StopServer = calls.mutation("/cloudspan.v1.ServerService/StopServer", server_pb2.StopServerRequest, server_pb2.Server)
        """Stops a running server and waits until it is shut off. Succeeds at once when it is already stopped."""
        self.RebootServer = calls.mutation("/cloudspan.v1.ServerService/RebootServer", server_pb2.RebootServerRequest, server_pb2.Server)
        """Reboots a running server and waits until it runs again."""
        self.AttachVolume = calls.mutation("/cloudspan.v1.ServerService/AttachVolume", server_pb2.AttachVolumeRequest, server_pb2.Server)
        """Attaches a volume to a server and waits until the platform reports it in use."""
        self.DetachVolume = calls.mutation("/cloudspan.v1.ServerService/DetachVolume", server_pb2.DetachVolumeRequest, server_pb2.Server)
        """Detaches a volume from a server and waits until the volume is available again."""


class SessionService:
    """Logs callers in and tells who they are, where the gateway has `--auth sessions`."""

    def __init__(self, calls: Calls) -> None:
        self.CreateSession = calls.unary("/cloudspan.v1.SessionService/CreateSession", session_pb2.CreateSessionRequest, session_pb2.Session)
        """Logs a user in."""
        self.CreateServiceSession = calls.unary("/cloudspan.v1.SessionService/CreateServiceSession", session_pb2.CreateServiceSessionRequest, session_pb2.Session)
        """Logs a registered service in: the gateway asks the service itself, at the address that the registry has for
        it, whether the token is its own (HandshakeVerifier)."""
        self.GetSession = calls.unary("/cloudspan.v1.SessionService/GetSession", session_pb2.GetSessionRequest, session_pb2.Session)
        """Tells who the caller of a session is, for example to a backend that was handed its token."""
        self.ListSessions = calls.pages("/cloudspan.v1.SessionService/ListSessions", session_pb2.ListSessionsRequest, session_pb2.ListSessionsResponse, session_pb2.Session)
        """Lists the sessions of a tenant's users and services, the newest first."""
        self.DeleteSession = calls.unary("/cloudspan.v1.SessionService/DeleteSession", session_pb2.DeleteSessionRequest, empty_pb2.Empty)
        """Ends a session: logs out. Ending another caller's session needs PERMISSION_ADMINISTER on its tenant."""


class SnapshotService:
    """Reads snapshots of volumes."""

    def __init__(self, calls: Calls) -> None:
        self.GetSnapshot = calls.unary("/cloudspan.v1.SnapshotService/GetSnapshot", snapshot_pb2.GetSnapshotRequest, snapshot_pb2.Snapshot)
        """Gets one snapshot."""
        self.ListSnapshots = calls.pages("/cloudspan.v1.SnapshotService/ListSnapshots", snapshot_pb2.ListSnapshotsRequest, snapshot_pb2.ListSnapshotsResponse, snapshot_pb2.Snapshot)
        """Lists snapshots of one cluster, or of many with the wildcard `-` in the parent."""


class TenantService:
    """Manages tenants and their pools: which clusters a tenant's callers may reach, and how much of them."""

    def __init__(self, calls: Calls) -> None:
        self.CreateTenant = calls.unary("/cloudspan.v1.TenantService/CreateTenant", tenant_pb2.CreateTenantRequest, tenant_pb2.Tenant)
        """Creates a tenant."""
        self.GetTenant = calls.unary("/cloudspan.v1.TenantService/GetTenant", tenant_pb2.GetTenantRequest, tenant_pb2.Tenant)
        """Gets a tenant."""
        self.ListTenants = calls.pages("/cloudspan.v1.TenantService/ListTenants", tenant_pb2.ListTenantsRequest, tenant_pb2.ListTenantsResponse, tenant_pb2.Tenant)
        """Lists the tenants in which the caller has a role, by name."""
        self.UpdateTenant = calls.unary("/cloudspan.v1.TenantService/UpdateTenant", tenant_pb2.UpdateTenantRequest, tenant_pb2.Tenant)
        """Changes a tenant; works within a second on every gateway."""
        self.DeleteTenant = calls.unary("/cloudspan.v1.TenantService/DeleteTenant", tenant_pb2.DeleteTenantRequest, empty_pb2.Empty)
        """Deletes a tenant with its bindings."""
        self.CreatePool = calls.unary("/cloudspan.v1.TenantService/CreatePool", tenant_pb2.CreatePoolRequest, tenant_pb2.Pool)
        """Creates a pool."""
        self.GetPool = calls.unary("/cloudspan.v1.TenantService/GetPool", tenant_pb2.GetPoolRequest, tenant_pb2.Pool)
        """Gets a pool."""
        self.ListPools = calls.pages("/cloudspan.v1.TenantService/ListPools", tenant_pb2.ListPoolsRequest, tenant_pb2.ListPoolsResponse, tenant_pb2.Pool)
        """Lists the pools in which the caller has a role, by name."""
        self.UpdatePool = calls.unary("/cloudspan.v1.TenantService/UpdatePool", tenant_pb2.UpdatePoolRequest, tenant_pb2.Pool)
        """Changes a pool; works within a second on every gateway."""
        self.DeletePool = calls.unary("/cloudspan.v1.TenantService/DeletePool", tenant_pb2.DeletePoolRequest, empty_pb2.Empty)
        """Deletes a pool with the bindings of it. Its operations go on."""


class UserService:
    """Manages the users who log in with CreateSession."""

    def __init__(self, calls: Calls) -> None:
        self.BootstrapAdministrator = calls.unary("/cloudspan.v1.UserService/BootstrapAdministrator", user_pb2.BootstrapAdministratorRequest, user_pb2.User)
        """Creates the first administrator of an installation, who may do everything."""
        self.CreateUser = calls.unary("/cloudspan.v1.UserService/CreateUser", user_pb2.CreateUserRequest, user_pb2.User)
        """Creates a user, who has no role until a binding gives one."""
        self.GetUser = calls.unary("/cloudspan.v1.UserService/GetUser", user_pb2.GetUserRequest, user_pb2.User)
        """Gets a user."""
        self.ListUsers = calls.pages("/cloudspan.v1.UserService/ListUsers", user_pb2.ListUsersRequest, user_pb2.ListUsersResponse, user_pb2.User)
        """Lists the users of the caller's tenant, by name."""
        self.UpdateUser = calls.unary("/cloudspan.v1.UserService/UpdateUser", user_pb2.UpdateUserRequest, user_pb2.User)
        """Changes the display name of a user, or disables it, which ends its sessions."""
        self.DeleteUser = calls.unary("/cloudspan.v1.UserService/DeleteUser", user_pb2.DeleteUserRequest, empty_pb2.Empty)
        """Deletes a user with its sessions and its bindings."""
        self.SetPassword = calls.unary("/cloudspan.v1.UserService/SetPassword", user_pb2.SetPasswordRequest, empty_pb2.Empty)
        """Sets a password, which ends the user's other sessions. Users give their present password; administrators of
        the tenant set one without, and thereby let a locked-out user in."""
        self.SetUpOneTimeCodes = calls.unary("/cloudspan.v1.UserService/SetUpOneTimeCodes", user_pb2.SetUpOneTimeCodesRequest, user_pb2.SetUpOneTimeCodesResponse)
        """Begins to set up one-time codes (TOTP, RFC 6238: SHA-1, 6 digits, 30 s): returns the secret for an
        authenticator."""
        self.ConfirmOneTimeCodes = calls.unary("/cloudspan.v1.UserService/ConfirmOneTimeCodes", user_pb2.ConfirmOneTimeCodesRequest, user_pb2.ConfirmOneTimeCodesResponse)
        """Ends the set-up with a code of the new secret: from now on CreateSession needs one. Returns recovery codes,
        once."""
        self.RemoveOneTimeCodes = calls.unary("/cloudspan.v1.UserService/RemoveOneTimeCodes", user_pb2.RemoveOneTimeCodesRequest, empty_pb2.Empty)
        """Removes a user's one-time codes and recovery codes: for administrators of the tenant, when both are
        lost."""


class VolumeService:
    """Manages block devices."""

    def __init__(self, calls: Calls) -> None:
        self.GetVolume = calls.unary("/cloudspan.v1.VolumeService/GetVolume", volume_pb2.GetVolumeRequest, volume_pb2.Volume)
        """Gets one volume."""
        self.ListVolumes = calls.pages("/cloudspan.v1.VolumeService/ListVolumes", volume_pb2.ListVolumesRequest, volume_pb2.ListVolumesResponse, volume_pb2.Volume)
        """Lists volumes of one cluster, or of many with the wildcard `-` in the parent."""
        self.CreateVolume = calls.mutation("/cloudspan.v1.VolumeService/CreateVolume", volume_pb2.CreateVolumeRequest, volume_pb2.Volume)
        """Creates a volume, empty or from an image, a snapshot or another volume, and waits until it is available."""
        self.DeleteVolume = calls.mutation("/cloudspan.v1.VolumeService/DeleteVolume", volume_pb2.DeleteVolumeRequest, empty_pb2.Empty)
        """Deletes a volume and waits until the platform no longer has it."""


class VolumeTypeService:
    """Reads the types that volumes come in."""

    def __init__(self, calls: Calls) -> None:
        self.GetVolumeType = calls.unary("/cloudspan.v1.VolumeTypeService/GetVolumeType", volume_type_pb2.GetVolumeTypeRequest, volume_type_pb2.VolumeType)
        """Gets one volume type."""
        self.ListVolumeTypes = calls.pages("/cloudspan.v1.VolumeTypeService/ListVolumeTypes", volume_type_pb2.ListVolumeTypesRequest, volume_type_pb2.ListVolumeTypesResponse, volume_type_pb2.VolumeType)
        """Lists volume types of one cluster, or of many with the wildcard `-` in the parent."""


class WebhookService:
    """Sends a tenant's events to URLs, each as CloudEvents JSON in a POST of its own, signed."""

    def __init__(self, calls: Calls) -> None:
        self.CreateWebhook = calls.unary("/cloudspan.v1.WebhookService/CreateWebhook", webhook_pb2.CreateWebhookRequest, webhook_pb2.Webhook)
        """Creates a webhook: it gets what happens from now on. Its answer alone shows the secret."""
        self.GetWebhook = calls.unary("/cloudspan.v1.WebhookService/GetWebhook", webhook_pb2.GetWebhookRequest, webhook_pb2.Webhook)
        """Gets a webhook, without its secret."""
        self.ListWebhooks = calls.pages("/cloudspan.v1.WebhookService/ListWebhooks", webhook_pb2.ListWebhooksRequest, webhook_pb2.ListWebhooksResponse, webhook_pb2.Webhook)
        """Lists the webhooks of a tenant, by name."""
        self.UpdateWebhook = calls.unary("/cloudspan.v1.WebhookService/UpdateWebhook", webhook_pb2.UpdateWebhookRequest, webhook_pb2.Webhook)
        """Changes a webhook. With `secret` in `update_mask` it gets another one: what the request says, or a new one
        where it says none; for a day what is sent is signed by both."""
        self.DeleteWebhook = calls.unary("/cloudspan.v1.WebhookService/DeleteWebhook", webhook_pb2.DeleteWebhookRequest, empty_pb2.Empty)
        """Deletes a webhook; nothing more is sent."""
        self.ReplayWebhook = calls.unary("/cloudspan.v1.WebhookService/ReplayWebhook", webhook_pb2.ReplayWebhookRequest, webhook_pb2.Webhook)
        """Sends events again, from a time on, and revives a webhook that is DEAD."""
        self.TestWebhook = calls.unary("/cloudspan.v1.WebhookService/TestWebhook", webhook_pb2.TestWebhookRequest, webhook_pb2.TestWebhookResponse)
        """Sends one event of the type `webhook.test` now, once, and returns what came of it: a refusal is a result,
        not an error."""


class ZoneService:
    """Reads the zones of clusters."""

    def __init__(self, calls: Calls) -> None:
        self.GetZone = calls.unary("/cloudspan.v1.ZoneService/GetZone", zone_pb2.GetZoneRequest, zone_pb2.Zone)
        """Gets one zone."""
        self.ListZones = calls.pages("/cloudspan.v1.ZoneService/ListZones", zone_pb2.ListZonesRequest, zone_pb2.ListZonesResponse, zone_pb2.Zone)
        """Lists zones of one cluster, or of many with the wildcard `-` in the parent."""


class Services:
    """An attribute for each service of the contract."""

    def __init__(self, calls: Calls) -> None:
        self.audits = AuditService(calls)
        self.clusters = ClusterService(calls)
        self.inventory = InventoryService(calls)
        self.operations = OperationService(calls)
        self.events = EventService(calls)
        self.flavors = FlavorService(calls)
        self.floating_ips = FloatingIpService(calls)
        self.images = ImageService(calls)
        self.key_pairs = KeyPairService(calls)
        self.subnets = SubnetService(calls)
        self.networks = NetworkService(calls)
        self.orphans = OrphanService(calls)
        self.platforms = PlatformService(calls)
        self.policies = PolicyService(calls)
        self.ports = PortService(calls)
        self.projects = ProjectService(calls)
        self.quotas = QuotaService(calls)
        self.routers = RouterService(calls)
        self.security_groups = SecurityGroupService(calls)
        self.servers = ServerService(calls)
        self.sessions = SessionService(calls)
        self.snapshots = SnapshotService(calls)
        self.tenants = TenantService(calls)
        self.users = UserService(calls)
        self.volumes = VolumeService(calls)
        self.volume_types = VolumeTypeService(calls)
        self.webhooks = WebhookService(calls)
        self.zones = ZoneService(calls)
