import datetime

from cloudspan.v1 import annotations_pb2 as _annotations_pb2
from cloudspan.v1 import common_pb2 as _common_pb2
from google.api import annotations_pb2 as _annotations_pb2_1
from google.api import client_pb2 as _client_pb2
from google.api import field_behavior_pb2 as _field_behavior_pb2
from google.api import field_info_pb2 as _field_info_pb2
from google.api import resource_pb2 as _resource_pb2
from google.api import routing_pb2 as _routing_pb2
from google.longrunning import operations_pb2 as _operations_pb2
from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf import field_mask_pb2 as _field_mask_pb2
from google.protobuf import struct_pb2 as _struct_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Server(_message.Message):
    __slots__ = ("name", "display_name", "state", "native_state", "project", "labels", "create_time", "update_time", "observe_time", "native", "task", "fault", "locked", "flavor", "vcpus", "memory_mib", "image", "zone", "host", "key_pair", "network_interfaces", "volume_attachments", "security_groups", "security_group_display_names", "description", "hostname", "tags", "flavor_snapshot", "power_state", "launch_time", "user", "config_drive", "locked_reason", "progress_percent", "host_id", "hypervisor_hostname", "hypervisor_type", "server_groups", "generated_password", "etag")
    class State(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        STATE_UNSPECIFIED: _ClassVar[Server.State]
        STATE_BUILDING: _ClassVar[Server.State]
        STATE_STARTING: _ClassVar[Server.State]
        STATE_RUNNING: _ClassVar[Server.State]
        STATE_STOPPING: _ClassVar[Server.State]
        STATE_STOPPED: _ClassVar[Server.State]
        STATE_REBOOTING: _ClassVar[Server.State]
        STATE_PAUSED: _ClassVar[Server.State]
        STATE_SUSPENDED: _ClassVar[Server.State]
        STATE_SHELVED: _ClassVar[Server.State]
        STATE_RESCUED: _ClassVar[Server.State]
        STATE_RESIZING: _ClassVar[Server.State]
        STATE_AWAITING_CONFIRM: _ClassVar[Server.State]
        STATE_MIGRATING: _ClassVar[Server.State]
        STATE_REBUILDING: _ClassVar[Server.State]
        STATE_DELETING: _ClassVar[Server.State]
        STATE_SOFT_DELETED: _ClassVar[Server.State]
        STATE_ERROR: _ClassVar[Server.State]
        STATE_UNKNOWN: _ClassVar[Server.State]
    STATE_UNSPECIFIED: Server.State
    STATE_BUILDING: Server.State
    STATE_STARTING: Server.State
    STATE_RUNNING: Server.State
    STATE_STOPPING: Server.State
    STATE_STOPPED: Server.State
    STATE_REBOOTING: Server.State
    STATE_PAUSED: Server.State
    STATE_SUSPENDED: Server.State
    STATE_SHELVED: Server.State
    STATE_RESCUED: Server.State
    STATE_RESIZING: Server.State
    STATE_AWAITING_CONFIRM: Server.State
    STATE_MIGRATING: Server.State
    STATE_REBUILDING: Server.State
    STATE_DELETING: Server.State
    STATE_SOFT_DELETED: Server.State
    STATE_ERROR: Server.State
    STATE_UNKNOWN: Server.State
    class PowerState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        POWER_STATE_UNSPECIFIED: _ClassVar[Server.PowerState]
        POWER_STATE_RUNNING: _ClassVar[Server.PowerState]
        POWER_STATE_PAUSED: _ClassVar[Server.PowerState]
        POWER_STATE_SHUTDOWN: _ClassVar[Server.PowerState]
        POWER_STATE_CRASHED: _ClassVar[Server.PowerState]
        POWER_STATE_SUSPENDED: _ClassVar[Server.PowerState]
        POWER_STATE_UNKNOWN: _ClassVar[Server.PowerState]
    POWER_STATE_UNSPECIFIED: Server.PowerState
    POWER_STATE_RUNNING: Server.PowerState
    POWER_STATE_PAUSED: Server.PowerState
    POWER_STATE_SHUTDOWN: Server.PowerState
    POWER_STATE_CRASHED: Server.PowerState
    POWER_STATE_SUSPENDED: Server.PowerState
    POWER_STATE_UNKNOWN: Server.PowerState
    class FlavorSnapshot(_message.Message):
        __slots__ = ("display_name", "vcpus", "memory_mib", "disk_bytes", "ephemeral_bytes", "swap_bytes", "extra_specs")
        class ExtraSpecsEntry(_message.Message):
            __slots__ = ("key", "value")
            KEY_FIELD_NUMBER: _ClassVar[int]
            VALUE_FIELD_NUMBER: _ClassVar[int]
            key: str
            value: str
            def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
        DISPLAY_NAME_FIELD_NUMBER: _ClassVar[int]
        VCPUS_FIELD_NUMBER: _ClassVar[int]
        MEMORY_MIB_FIELD_NUMBER: _ClassVar[int]
        DISK_BYTES_FIELD_NUMBER: _ClassVar[int]
        EPHEMERAL_BYTES_FIELD_NUMBER: _ClassVar[int]
        SWAP_BYTES_FIELD_NUMBER: _ClassVar[int]
        EXTRA_SPECS_FIELD_NUMBER: _ClassVar[int]
        display_name: str
        vcpus: int
        memory_mib: int
        disk_bytes: int
        ephemeral_bytes: int
        swap_bytes: int
        extra_specs: _containers.ScalarMap[str, str]
        def __init__(self, display_name: _Optional[str] = ..., vcpus: _Optional[int] = ..., memory_mib: _Optional[int] = ..., disk_bytes: _Optional[int] = ..., ephemeral_bytes: _Optional[int] = ..., swap_bytes: _Optional[int] = ..., extra_specs: _Optional[_Mapping[str, str]] = ...) -> None: ...
    class FixedIp(_message.Message):
        __slots__ = ("ip_address", "subnet", "gateway_ip")
        IP_ADDRESS_FIELD_NUMBER: _ClassVar[int]
        SUBNET_FIELD_NUMBER: _ClassVar[int]
        GATEWAY_IP_FIELD_NUMBER: _ClassVar[int]
        ip_address: str
        subnet: str
        gateway_ip: str
        def __init__(self, ip_address: _Optional[str] = ..., subnet: _Optional[str] = ..., gateway_ip: _Optional[str] = ...) -> None: ...
    class NetworkInterface(_message.Message):
        __slots__ = ("network", "port", "fixed_ips", "mac_address", "floating_ip_addresses", "network_display_name", "index", "driver", "is_default")
        NETWORK_FIELD_NUMBER: _ClassVar[int]
        PORT_FIELD_NUMBER: _ClassVar[int]
        FIXED_IPS_FIELD_NUMBER: _ClassVar[int]
        MAC_ADDRESS_FIELD_NUMBER: _ClassVar[int]
        FLOATING_IP_ADDRESSES_FIELD_NUMBER: _ClassVar[int]
        NETWORK_DISPLAY_NAME_FIELD_NUMBER: _ClassVar[int]
        INDEX_FIELD_NUMBER: _ClassVar[int]
        DRIVER_FIELD_NUMBER: _ClassVar[int]
        IS_DEFAULT_FIELD_NUMBER: _ClassVar[int]
        network: str
        port: str
        fixed_ips: _containers.RepeatedCompositeFieldContainer[Server.FixedIp]
        mac_address: str
        floating_ip_addresses: _containers.RepeatedScalarFieldContainer[str]
        network_display_name: str
        index: int
        driver: str
        is_default: bool
        def __init__(self, network: _Optional[str] = ..., port: _Optional[str] = ..., fixed_ips: _Optional[_Iterable[_Union[Server.FixedIp, _Mapping]]] = ..., mac_address: _Optional[str] = ..., floating_ip_addresses: _Optional[_Iterable[str]] = ..., network_display_name: _Optional[str] = ..., index: _Optional[int] = ..., driver: _Optional[str] = ..., is_default: _Optional[bool] = ...) -> None: ...
    class VolumeAttachment(_message.Message):
        __slots__ = ("volume", "device", "delete_with_server", "boot")
        VOLUME_FIELD_NUMBER: _ClassVar[int]
        DEVICE_FIELD_NUMBER: _ClassVar[int]
        DELETE_WITH_SERVER_FIELD_NUMBER: _ClassVar[int]
        BOOT_FIELD_NUMBER: _ClassVar[int]
        volume: str
        device: str
        delete_with_server: bool
        boot: bool
        def __init__(self, volume: _Optional[str] = ..., device: _Optional[str] = ..., delete_with_server: _Optional[bool] = ..., boot: _Optional[bool] = ...) -> None: ...
    class LabelsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    NAME_FIELD_NUMBER: _ClassVar[int]
    DISPLAY_NAME_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    NATIVE_STATE_FIELD_NUMBER: _ClassVar[int]
    PROJECT_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    CREATE_TIME_FIELD_NUMBER: _ClassVar[int]
    UPDATE_TIME_FIELD_NUMBER: _ClassVar[int]
    OBSERVE_TIME_FIELD_NUMBER: _ClassVar[int]
    NATIVE_FIELD_NUMBER: _ClassVar[int]
    TASK_FIELD_NUMBER: _ClassVar[int]
    FAULT_FIELD_NUMBER: _ClassVar[int]
    LOCKED_FIELD_NUMBER: _ClassVar[int]
    FLAVOR_FIELD_NUMBER: _ClassVar[int]
    VCPUS_FIELD_NUMBER: _ClassVar[int]
    MEMORY_MIB_FIELD_NUMBER: _ClassVar[int]
    IMAGE_FIELD_NUMBER: _ClassVar[int]
    ZONE_FIELD_NUMBER: _ClassVar[int]
    HOST_FIELD_NUMBER: _ClassVar[int]
    KEY_PAIR_FIELD_NUMBER: _ClassVar[int]
    NETWORK_INTERFACES_FIELD_NUMBER: _ClassVar[int]
    VOLUME_ATTACHMENTS_FIELD_NUMBER: _ClassVar[int]
    SECURITY_GROUPS_FIELD_NUMBER: _ClassVar[int]
    SECURITY_GROUP_DISPLAY_NAMES_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    HOSTNAME_FIELD_NUMBER: _ClassVar[int]
    TAGS_FIELD_NUMBER: _ClassVar[int]
    FLAVOR_SNAPSHOT_FIELD_NUMBER: _ClassVar[int]
    POWER_STATE_FIELD_NUMBER: _ClassVar[int]
    LAUNCH_TIME_FIELD_NUMBER: _ClassVar[int]
    USER_FIELD_NUMBER: _ClassVar[int]
    CONFIG_DRIVE_FIELD_NUMBER: _ClassVar[int]
    LOCKED_REASON_FIELD_NUMBER: _ClassVar[int]
    PROGRESS_PERCENT_FIELD_NUMBER: _ClassVar[int]
    HOST_ID_FIELD_NUMBER: _ClassVar[int]
    HYPERVISOR_HOSTNAME_FIELD_NUMBER: _ClassVar[int]
    HYPERVISOR_TYPE_FIELD_NUMBER: _ClassVar[int]
    SERVER_GROUPS_FIELD_NUMBER: _ClassVar[int]
    GENERATED_PASSWORD_FIELD_NUMBER: _ClassVar[int]
    ETAG_FIELD_NUMBER: _ClassVar[int]
    name: str
    display_name: str
    state: Server.State
    native_state: str
    project: str
    labels: _containers.ScalarMap[str, str]
    create_time: _timestamp_pb2.Timestamp
    update_time: _timestamp_pb2.Timestamp
    observe_time: _timestamp_pb2.Timestamp
    native: _struct_pb2.Struct
    task: str
    fault: _common_pb2.Fault
    locked: bool
    flavor: str
    vcpus: int
    memory_mib: int
    image: str
    zone: str
    host: str
    key_pair: str
    network_interfaces: _containers.RepeatedCompositeFieldContainer[Server.NetworkInterface]
    volume_attachments: _containers.RepeatedCompositeFieldContainer[Server.VolumeAttachment]
    security_groups: _containers.RepeatedScalarFieldContainer[str]
    security_group_display_names: _containers.RepeatedScalarFieldContainer[str]
    description: str
    hostname: str
    tags: _containers.RepeatedScalarFieldContainer[str]
    flavor_snapshot: Server.FlavorSnapshot
    power_state: Server.PowerState
    launch_time: _timestamp_pb2.Timestamp
    user: str
    config_drive: bool
    locked_reason: str
    progress_percent: int
    host_id: str
    hypervisor_hostname: str
    hypervisor_type: str
    server_groups: _containers.RepeatedScalarFieldContainer[str]
    generated_password: str
    etag: str
    def __init__(self, name: _Optional[str] = ..., display_name: _Optional[str] = ..., state: _Optional[_Union[Server.State, str]] = ..., native_state: _Optional[str] = ..., project: _Optional[str] = ..., labels: _Optional[_Mapping[str, str]] = ..., create_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., update_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., observe_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., native: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ..., task: _Optional[str] = ..., fault: _Optional[_Union[_common_pb2.Fault, _Mapping]] = ..., locked: _Optional[bool] = ..., flavor: _Optional[str] = ..., vcpus: _Optional[int] = ..., memory_mib: _Optional[int] = ..., image: _Optional[str] = ..., zone: _Optional[str] = ..., host: _Optional[str] = ..., key_pair: _Optional[str] = ..., network_interfaces: _Optional[_Iterable[_Union[Server.NetworkInterface, _Mapping]]] = ..., volume_attachments: _Optional[_Iterable[_Union[Server.VolumeAttachment, _Mapping]]] = ..., security_groups: _Optional[_Iterable[str]] = ..., security_group_display_names: _Optional[_Iterable[str]] = ..., description: _Optional[str] = ..., hostname: _Optional[str] = ..., tags: _Optional[_Iterable[str]] = ..., flavor_snapshot: _Optional[_Union[Server.FlavorSnapshot, _Mapping]] = ..., power_state: _Optional[_Union[Server.PowerState, str]] = ..., launch_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., user: _Optional[str] = ..., config_drive: _Optional[bool] = ..., locked_reason: _Optional[str] = ..., progress_percent: _Optional[int] = ..., host_id: _Optional[str] = ..., hypervisor_hostname: _Optional[str] = ..., hypervisor_type: _Optional[str] = ..., server_groups: _Optional[_Iterable[str]] = ..., generated_password: _Optional[str] = ..., etag: _Optional[str] = ...) -> None: ...

class GetServerRequest(_message.Message):
    __slots__ = ("name", "view", "read_mask", "max_staleness", "stale_ok")
    NAME_FIELD_NUMBER: _ClassVar[int]
    VIEW_FIELD_NUMBER: _ClassVar[int]
    READ_MASK_FIELD_NUMBER: _ClassVar[int]
    MAX_STALENESS_FIELD_NUMBER: _ClassVar[int]
    STALE_OK_FIELD_NUMBER: _ClassVar[int]
    name: str
    view: _common_pb2.ResourceView
    read_mask: _field_mask_pb2.FieldMask
    max_staleness: _duration_pb2.Duration
    stale_ok: bool
    def __init__(self, name: _Optional[str] = ..., view: _Optional[_Union[_common_pb2.ResourceView, str]] = ..., read_mask: _Optional[_Union[_field_mask_pb2.FieldMask, _Mapping]] = ..., max_staleness: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., stale_ok: _Optional[bool] = ...) -> None: ...

class ListServersRequest(_message.Message):
    __slots__ = ("parent", "page_size", "page_token", "filter", "order_by", "view", "read_mask", "show_deleted", "max_staleness", "stale_ok")
    PARENT_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    FILTER_FIELD_NUMBER: _ClassVar[int]
    ORDER_BY_FIELD_NUMBER: _ClassVar[int]
    VIEW_FIELD_NUMBER: _ClassVar[int]
    READ_MASK_FIELD_NUMBER: _ClassVar[int]
    SHOW_DELETED_FIELD_NUMBER: _ClassVar[int]
    MAX_STALENESS_FIELD_NUMBER: _ClassVar[int]
    STALE_OK_FIELD_NUMBER: _ClassVar[int]
    parent: str
    page_size: int
    page_token: str
    filter: str
    order_by: str
    view: _common_pb2.ResourceView
    read_mask: _field_mask_pb2.FieldMask
    show_deleted: bool
    max_staleness: _duration_pb2.Duration
    stale_ok: bool
    def __init__(self, parent: _Optional[str] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ..., filter: _Optional[str] = ..., order_by: _Optional[str] = ..., view: _Optional[_Union[_common_pb2.ResourceView, str]] = ..., read_mask: _Optional[_Union[_field_mask_pb2.FieldMask, _Mapping]] = ..., show_deleted: _Optional[bool] = ..., max_staleness: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., stale_ok: _Optional[bool] = ...) -> None: ...

class ListServersResponse(_message.Message):
    __slots__ = ("servers", "next_page_token", "unreachable", "cluster_status")
    SERVERS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    UNREACHABLE_FIELD_NUMBER: _ClassVar[int]
    CLUSTER_STATUS_FIELD_NUMBER: _ClassVar[int]
    servers: _containers.RepeatedCompositeFieldContainer[Server]
    next_page_token: str
    unreachable: _containers.RepeatedScalarFieldContainer[str]
    cluster_status: _containers.RepeatedCompositeFieldContainer[_common_pb2.ClusterStatus]
    def __init__(self, servers: _Optional[_Iterable[_Union[Server, _Mapping]]] = ..., next_page_token: _Optional[str] = ..., unreachable: _Optional[_Iterable[str]] = ..., cluster_status: _Optional[_Iterable[_Union[_common_pb2.ClusterStatus, _Mapping]]] = ...) -> None: ...

class CreateServerRequest(_message.Message):
    __slots__ = ("parent", "server", "network_interfaces", "boot_volume", "new_volumes", "user_data", "admin_password", "validate_only", "options", "request_id")
    class NetworkInterface(_message.Message):
        __slots__ = ("network", "port", "ip_addresses", "new_port", "floating_network")
        NETWORK_FIELD_NUMBER: _ClassVar[int]
        PORT_FIELD_NUMBER: _ClassVar[int]
        IP_ADDRESSES_FIELD_NUMBER: _ClassVar[int]
        NEW_PORT_FIELD_NUMBER: _ClassVar[int]
        FLOATING_NETWORK_FIELD_NUMBER: _ClassVar[int]
        network: str
        port: str
        ip_addresses: _containers.RepeatedScalarFieldContainer[str]
        new_port: CreateServerRequest.NewPort
        floating_network: str
        def __init__(self, network: _Optional[str] = ..., port: _Optional[str] = ..., ip_addresses: _Optional[_Iterable[str]] = ..., new_port: _Optional[_Union[CreateServerRequest.NewPort, _Mapping]] = ..., floating_network: _Optional[str] = ...) -> None: ...
    class NewPort(_message.Message):
        __slots__ = ("display_name", "security_groups")
        DISPLAY_NAME_FIELD_NUMBER: _ClassVar[int]
        SECURITY_GROUPS_FIELD_NUMBER: _ClassVar[int]
        display_name: str
        security_groups: _containers.RepeatedScalarFieldContainer[str]
        def __init__(self, display_name: _Optional[str] = ..., security_groups: _Optional[_Iterable[str]] = ...) -> None: ...
    class BootVolume(_message.Message):
        __slots__ = ("volume", "size_bytes", "volume_type", "delete_with_server")
        VOLUME_FIELD_NUMBER: _ClassVar[int]
        SIZE_BYTES_FIELD_NUMBER: _ClassVar[int]
        VOLUME_TYPE_FIELD_NUMBER: _ClassVar[int]
        DELETE_WITH_SERVER_FIELD_NUMBER: _ClassVar[int]
        volume: str
        size_bytes: int
        volume_type: str
        delete_with_server: bool
        def __init__(self, volume: _Optional[str] = ..., size_bytes: _Optional[int] = ..., volume_type: _Optional[str] = ..., delete_with_server: _Optional[bool] = ...) -> None: ...
    class NewVolume(_message.Message):
        __slots__ = ("display_name", "size_bytes", "volume_type", "delete_with_server")
        DISPLAY_NAME_FIELD_NUMBER: _ClassVar[int]
        SIZE_BYTES_FIELD_NUMBER: _ClassVar[int]
        VOLUME_TYPE_FIELD_NUMBER: _ClassVar[int]
        DELETE_WITH_SERVER_FIELD_NUMBER: _ClassVar[int]
        display_name: str
        size_bytes: int
        volume_type: str
        delete_with_server: bool
        def __init__(self, display_name: _Optional[str] = ..., size_bytes: _Optional[int] = ..., volume_type: _Optional[str] = ..., delete_with_server: _Optional[bool] = ...) -> None: ...
    PARENT_FIELD_NUMBER: _ClassVar[int]
    SERVER_FIELD_NUMBER: _ClassVar[int]
    NETWORK_INTERFACES_FIELD_NUMBER: _ClassVar[int]
    BOOT_VOLUME_FIELD_NUMBER: _ClassVar[int]
    NEW_VOLUMES_FIELD_NUMBER: _ClassVar[int]
    USER_DATA_FIELD_NUMBER: _ClassVar[int]
    ADMIN_PASSWORD_FIELD_NUMBER: _ClassVar[int]
    VALIDATE_ONLY_FIELD_NUMBER: _ClassVar[int]
    OPTIONS_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    parent: str
    server: Server
    network_interfaces: _containers.RepeatedCompositeFieldContainer[CreateServerRequest.NetworkInterface]
    boot_volume: CreateServerRequest.BootVolume
    new_volumes: _containers.RepeatedCompositeFieldContainer[CreateServerRequest.NewVolume]
    user_data: bytes
    admin_password: str
    validate_only: bool
    options: _struct_pb2.Struct
    request_id: str
    def __init__(self, parent: _Optional[str] = ..., server: _Optional[_Union[Server, _Mapping]] = ..., network_interfaces: _Optional[_Iterable[_Union[CreateServerRequest.NetworkInterface, _Mapping]]] = ..., boot_volume: _Optional[_Union[CreateServerRequest.BootVolume, _Mapping]] = ..., new_volumes: _Optional[_Iterable[_Union[CreateServerRequest.NewVolume, _Mapping]]] = ..., user_data: _Optional[bytes] = ..., admin_password: _Optional[str] = ..., validate_only: _Optional[bool] = ..., options: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ..., request_id: _Optional[str] = ...) -> None: ...

class DeleteServerRequest(_message.Message):
    __slots__ = ("name", "etag", "allow_missing", "validate_only", "options", "request_id")
    NAME_FIELD_NUMBER: _ClassVar[int]
    ETAG_FIELD_NUMBER: _ClassVar[int]
    ALLOW_MISSING_FIELD_NUMBER: _ClassVar[int]
    VALIDATE_ONLY_FIELD_NUMBER: _ClassVar[int]
    OPTIONS_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    name: str
    etag: str
    allow_missing: bool
    validate_only: bool
    options: _struct_pb2.Struct
    request_id: str
    def __init__(self, name: _Optional[str] = ..., etag: _Optional[str] = ..., allow_missing: _Optional[bool] = ..., validate_only: _Optional[bool] = ..., options: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ..., request_id: _Optional[str] = ...) -> None: ...

class StartServerRequest(_message.Message):
    __slots__ = ("name", "validate_only", "options", "request_id")
    NAME_FIELD_NUMBER: _ClassVar[int]
    VALIDATE_ONLY_FIELD_NUMBER: _ClassVar[int]
    OPTIONS_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    name: str
    validate_only: bool
    options: _struct_pb2.Struct
    request_id: str
    def __init__(self, name: _Optional[str] = ..., validate_only: _Optional[bool] = ..., options: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ..., request_id: _Optional[str] = ...) -> None: ...

class StopServerRequest(_message.Message):
    __slots__ = ("name", "validate_only", "options", "request_id")
    NAME_FIELD_NUMBER: _ClassVar[int]
    VALIDATE_ONLY_FIELD_NUMBER: _ClassVar[int]
    OPTIONS_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    name: str
    validate_only: bool
    options: _struct_pb2.Struct
    request_id: str
    def __init__(self, name: _Optional[str] = ..., validate_only: _Optional[bool] = ..., options: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ..., request_id: _Optional[str] = ...) -> None: ...

class RebootServerRequest(_message.Message):
    __slots__ = ("name", "mode", "validate_only", "options", "request_id")
    class Mode(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        MODE_UNSPECIFIED: _ClassVar[RebootServerRequest.Mode]
        MODE_SOFT: _ClassVar[RebootServerRequest.Mode]
        MODE_HARD: _ClassVar[RebootServerRequest.Mode]
    MODE_UNSPECIFIED: RebootServerRequest.Mode
    MODE_SOFT: RebootServerRequest.Mode
    MODE_HARD: RebootServerRequest.Mode
    NAME_FIELD_NUMBER: _ClassVar[int]
    MODE_FIELD_NUMBER: _ClassVar[int]
    VALIDATE_ONLY_FIELD_NUMBER: _ClassVar[int]
    OPTIONS_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    name: str
    mode: RebootServerRequest.Mode
    validate_only: bool
    options: _struct_pb2.Struct
    request_id: str
    def __init__(self, name: _Optional[str] = ..., mode: _Optional[_Union[RebootServerRequest.Mode, str]] = ..., validate_only: _Optional[bool] = ..., options: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ..., request_id: _Optional[str] = ...) -> None: ...

class AttachVolumeRequest(_message.Message):
    __slots__ = ("name", "volume", "device", "validate_only", "options", "request_id")
    NAME_FIELD_NUMBER: _ClassVar[int]
    VOLUME_FIELD_NUMBER: _ClassVar[int]
    DEVICE_FIELD_NUMBER: _ClassVar[int]
    VALIDATE_ONLY_FIELD_NUMBER: _ClassVar[int]
    OPTIONS_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    name: str
    volume: str
    device: str
    validate_only: bool
    options: _struct_pb2.Struct
    request_id: str
    def __init__(self, name: _Optional[str] = ..., volume: _Optional[str] = ..., device: _Optional[str] = ..., validate_only: _Optional[bool] = ..., options: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ..., request_id: _Optional[str] = ...) -> None: ...

class DetachVolumeRequest(_message.Message):
    __slots__ = ("name", "volume", "validate_only", "options", "request_id")
    NAME_FIELD_NUMBER: _ClassVar[int]
    VOLUME_FIELD_NUMBER: _ClassVar[int]
    VALIDATE_ONLY_FIELD_NUMBER: _ClassVar[int]
    OPTIONS_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    name: str
    volume: str
    validate_only: bool
    options: _struct_pb2.Struct
    request_id: str
    def __init__(self, name: _Optional[str] = ..., volume: _Optional[str] = ..., validate_only: _Optional[bool] = ..., options: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ..., request_id: _Optional[str] = ...) -> None: ...
