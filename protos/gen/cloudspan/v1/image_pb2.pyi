import datetime

from cloudspan.v1 import common_pb2 as _common_pb2
from google.api import annotations_pb2 as _annotations_pb2
from google.api import client_pb2 as _client_pb2
from google.api import field_behavior_pb2 as _field_behavior_pb2
from google.api import resource_pb2 as _resource_pb2
from google.api import routing_pb2 as _routing_pb2
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

class Image(_message.Message):
    __slots__ = ("name", "display_name", "state", "native_state", "project", "labels", "create_time", "update_time", "observe_time", "native", "size_bytes", "virtual_size_bytes", "min_disk_bytes", "min_memory_mib", "disk_format", "container_format", "visibility", "delete_protected", "checksum", "checksum_algorithm", "os_type", "architecture", "tags", "description", "kind", "os_distro", "os_version", "boot_mode", "hidden", "source", "stores", "properties", "progress_percent", "fault", "etag")
    class State(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        STATE_UNSPECIFIED: _ClassVar[Image.State]
        STATE_CREATING: _ClassVar[Image.State]
        STATE_ACTIVE: _ClassVar[Image.State]
        STATE_DEACTIVATED: _ClassVar[Image.State]
        STATE_DELETING: _ClassVar[Image.State]
        STATE_SOFT_DELETED: _ClassVar[Image.State]
        STATE_ERROR: _ClassVar[Image.State]
        STATE_UNKNOWN: _ClassVar[Image.State]
    STATE_UNSPECIFIED: Image.State
    STATE_CREATING: Image.State
    STATE_ACTIVE: Image.State
    STATE_DEACTIVATED: Image.State
    STATE_DELETING: Image.State
    STATE_SOFT_DELETED: Image.State
    STATE_ERROR: Image.State
    STATE_UNKNOWN: Image.State
    class Kind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        KIND_UNSPECIFIED: _ClassVar[Image.Kind]
        KIND_ROOT: _ClassVar[Image.Kind]
        KIND_DATA: _ClassVar[Image.Kind]
        KIND_ISO: _ClassVar[Image.Kind]
        KIND_UNKNOWN: _ClassVar[Image.Kind]
    KIND_UNSPECIFIED: Image.Kind
    KIND_ROOT: Image.Kind
    KIND_DATA: Image.Kind
    KIND_ISO: Image.Kind
    KIND_UNKNOWN: Image.Kind
    class Visibility(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        VISIBILITY_UNSPECIFIED: _ClassVar[Image.Visibility]
        VISIBILITY_PUBLIC: _ClassVar[Image.Visibility]
        VISIBILITY_PRIVATE: _ClassVar[Image.Visibility]
        VISIBILITY_SHARED: _ClassVar[Image.Visibility]
        VISIBILITY_COMMUNITY: _ClassVar[Image.Visibility]
        VISIBILITY_UNKNOWN: _ClassVar[Image.Visibility]
    VISIBILITY_UNSPECIFIED: Image.Visibility
    VISIBILITY_PUBLIC: Image.Visibility
    VISIBILITY_PRIVATE: Image.Visibility
    VISIBILITY_SHARED: Image.Visibility
    VISIBILITY_COMMUNITY: Image.Visibility
    VISIBILITY_UNKNOWN: Image.Visibility
    class DiskFormat(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        DISK_FORMAT_UNSPECIFIED: _ClassVar[Image.DiskFormat]
        DISK_FORMAT_RAW: _ClassVar[Image.DiskFormat]
        DISK_FORMAT_QCOW2: _ClassVar[Image.DiskFormat]
        DISK_FORMAT_ISO: _ClassVar[Image.DiskFormat]
        DISK_FORMAT_VMDK: _ClassVar[Image.DiskFormat]
        DISK_FORMAT_VHD: _ClassVar[Image.DiskFormat]
        DISK_FORMAT_VHDX: _ClassVar[Image.DiskFormat]
        DISK_FORMAT_VDI: _ClassVar[Image.DiskFormat]
        DISK_FORMAT_PLOOP: _ClassVar[Image.DiskFormat]
        DISK_FORMAT_AMI: _ClassVar[Image.DiskFormat]
        DISK_FORMAT_ARI: _ClassVar[Image.DiskFormat]
        DISK_FORMAT_AKI: _ClassVar[Image.DiskFormat]
        DISK_FORMAT_VMTX: _ClassVar[Image.DiskFormat]
        DISK_FORMAT_UNKNOWN: _ClassVar[Image.DiskFormat]
    DISK_FORMAT_UNSPECIFIED: Image.DiskFormat
    DISK_FORMAT_RAW: Image.DiskFormat
    DISK_FORMAT_QCOW2: Image.DiskFormat
    DISK_FORMAT_ISO: Image.DiskFormat
    DISK_FORMAT_VMDK: Image.DiskFormat
    DISK_FORMAT_VHD: Image.DiskFormat
    DISK_FORMAT_VHDX: Image.DiskFormat
    DISK_FORMAT_VDI: Image.DiskFormat
    DISK_FORMAT_PLOOP: Image.DiskFormat
    DISK_FORMAT_AMI: Image.DiskFormat
    DISK_FORMAT_ARI: Image.DiskFormat
    DISK_FORMAT_AKI: Image.DiskFormat
    DISK_FORMAT_VMTX: Image.DiskFormat
    DISK_FORMAT_UNKNOWN: Image.DiskFormat
    class ContainerFormat(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        CONTAINER_FORMAT_UNSPECIFIED: _ClassVar[Image.ContainerFormat]
        CONTAINER_FORMAT_BARE: _ClassVar[Image.ContainerFormat]
        CONTAINER_FORMAT_OVF: _ClassVar[Image.ContainerFormat]
        CONTAINER_FORMAT_OVA: _ClassVar[Image.ContainerFormat]
        CONTAINER_FORMAT_AMI: _ClassVar[Image.ContainerFormat]
        CONTAINER_FORMAT_ARI: _ClassVar[Image.ContainerFormat]
        CONTAINER_FORMAT_AKI: _ClassVar[Image.ContainerFormat]
        CONTAINER_FORMAT_DOCKER: _ClassVar[Image.ContainerFormat]
        CONTAINER_FORMAT_COMPRESSED: _ClassVar[Image.ContainerFormat]
        CONTAINER_FORMAT_UNKNOWN: _ClassVar[Image.ContainerFormat]
    CONTAINER_FORMAT_UNSPECIFIED: Image.ContainerFormat
    CONTAINER_FORMAT_BARE: Image.ContainerFormat
    CONTAINER_FORMAT_OVF: Image.ContainerFormat
    CONTAINER_FORMAT_OVA: Image.ContainerFormat
    CONTAINER_FORMAT_AMI: Image.ContainerFormat
    CONTAINER_FORMAT_ARI: Image.ContainerFormat
    CONTAINER_FORMAT_AKI: Image.ContainerFormat
    CONTAINER_FORMAT_DOCKER: Image.ContainerFormat
    CONTAINER_FORMAT_COMPRESSED: Image.ContainerFormat
    CONTAINER_FORMAT_UNKNOWN: Image.ContainerFormat
    class ChecksumAlgorithm(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        CHECKSUM_ALGORITHM_UNSPECIFIED: _ClassVar[Image.ChecksumAlgorithm]
        CHECKSUM_ALGORITHM_MD5: _ClassVar[Image.ChecksumAlgorithm]
        CHECKSUM_ALGORITHM_SHA1: _ClassVar[Image.ChecksumAlgorithm]
        CHECKSUM_ALGORITHM_SHA256: _ClassVar[Image.ChecksumAlgorithm]
        CHECKSUM_ALGORITHM_SHA384: _ClassVar[Image.ChecksumAlgorithm]
        CHECKSUM_ALGORITHM_SHA512: _ClassVar[Image.ChecksumAlgorithm]
        CHECKSUM_ALGORITHM_UNKNOWN: _ClassVar[Image.ChecksumAlgorithm]
    CHECKSUM_ALGORITHM_UNSPECIFIED: Image.ChecksumAlgorithm
    CHECKSUM_ALGORITHM_MD5: Image.ChecksumAlgorithm
    CHECKSUM_ALGORITHM_SHA1: Image.ChecksumAlgorithm
    CHECKSUM_ALGORITHM_SHA256: Image.ChecksumAlgorithm
    CHECKSUM_ALGORITHM_SHA384: Image.ChecksumAlgorithm
    CHECKSUM_ALGORITHM_SHA512: Image.ChecksumAlgorithm
    CHECKSUM_ALGORITHM_UNKNOWN: Image.ChecksumAlgorithm
    class BootMode(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        BOOT_MODE_UNSPECIFIED: _ClassVar[Image.BootMode]
        BOOT_MODE_BIOS: _ClassVar[Image.BootMode]
        BOOT_MODE_UEFI: _ClassVar[Image.BootMode]
        BOOT_MODE_UEFI_WITH_CSM: _ClassVar[Image.BootMode]
        BOOT_MODE_UNKNOWN: _ClassVar[Image.BootMode]
    BOOT_MODE_UNSPECIFIED: Image.BootMode
    BOOT_MODE_BIOS: Image.BootMode
    BOOT_MODE_UEFI: Image.BootMode
    BOOT_MODE_UEFI_WITH_CSM: Image.BootMode
    BOOT_MODE_UNKNOWN: Image.BootMode
    class Source(_message.Message):
        __slots__ = ("uri", "server", "volume", "snapshot")
        URI_FIELD_NUMBER: _ClassVar[int]
        SERVER_FIELD_NUMBER: _ClassVar[int]
        VOLUME_FIELD_NUMBER: _ClassVar[int]
        SNAPSHOT_FIELD_NUMBER: _ClassVar[int]
        uri: str
        server: str
        volume: str
        snapshot: str
        def __init__(self, uri: _Optional[str] = ..., server: _Optional[str] = ..., volume: _Optional[str] = ..., snapshot: _Optional[str] = ...) -> None: ...
    class LabelsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    class PropertiesEntry(_message.Message):
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
    SIZE_BYTES_FIELD_NUMBER: _ClassVar[int]
    VIRTUAL_SIZE_BYTES_FIELD_NUMBER: _ClassVar[int]
    MIN_DISK_BYTES_FIELD_NUMBER: _ClassVar[int]
    MIN_MEMORY_MIB_FIELD_NUMBER: _ClassVar[int]
    DISK_FORMAT_FIELD_NUMBER: _ClassVar[int]
    CONTAINER_FORMAT_FIELD_NUMBER: _ClassVar[int]
    VISIBILITY_FIELD_NUMBER: _ClassVar[int]
    DELETE_PROTECTED_FIELD_NUMBER: _ClassVar[int]
    CHECKSUM_FIELD_NUMBER: _ClassVar[int]
    CHECKSUM_ALGORITHM_FIELD_NUMBER: _ClassVar[int]
    OS_TYPE_FIELD_NUMBER: _ClassVar[int]
    ARCHITECTURE_FIELD_NUMBER: _ClassVar[int]
    TAGS_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    OS_DISTRO_FIELD_NUMBER: _ClassVar[int]
    OS_VERSION_FIELD_NUMBER: _ClassVar[int]
    BOOT_MODE_FIELD_NUMBER: _ClassVar[int]
    HIDDEN_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    STORES_FIELD_NUMBER: _ClassVar[int]
    PROPERTIES_FIELD_NUMBER: _ClassVar[int]
    PROGRESS_PERCENT_FIELD_NUMBER: _ClassVar[int]
    FAULT_FIELD_NUMBER: _ClassVar[int]
    ETAG_FIELD_NUMBER: _ClassVar[int]
    name: str
    display_name: str
    state: Image.State
    native_state: str
    project: str
    labels: _containers.ScalarMap[str, str]
    create_time: _timestamp_pb2.Timestamp
    update_time: _timestamp_pb2.Timestamp
    observe_time: _timestamp_pb2.Timestamp
    native: _struct_pb2.Struct
    size_bytes: int
    virtual_size_bytes: int
    min_disk_bytes: int
    min_memory_mib: int
    disk_format: Image.DiskFormat
    container_format: Image.ContainerFormat
    visibility: Image.Visibility
    delete_protected: bool
    checksum: str
    checksum_algorithm: Image.ChecksumAlgorithm
    os_type: str
    architecture: str
    tags: _containers.RepeatedScalarFieldContainer[str]
    description: str
    kind: Image.Kind
    os_distro: str
    os_version: str
    boot_mode: Image.BootMode
    hidden: bool
    source: Image.Source
    stores: _containers.RepeatedScalarFieldContainer[str]
    properties: _containers.ScalarMap[str, str]
    progress_percent: int
    fault: _common_pb2.Fault
    etag: str
    def __init__(self, name: _Optional[str] = ..., display_name: _Optional[str] = ..., state: _Optional[_Union[Image.State, str]] = ..., native_state: _Optional[str] = ..., project: _Optional[str] = ..., labels: _Optional[_Mapping[str, str]] = ..., create_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., update_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., observe_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., native: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ..., size_bytes: _Optional[int] = ..., virtual_size_bytes: _Optional[int] = ..., min_disk_bytes: _Optional[int] = ..., min_memory_mib: _Optional[int] = ..., disk_format: _Optional[_Union[Image.DiskFormat, str]] = ..., container_format: _Optional[_Union[Image.ContainerFormat, str]] = ..., visibility: _Optional[_Union[Image.Visibility, str]] = ..., delete_protected: _Optional[bool] = ..., checksum: _Optional[str] = ..., checksum_algorithm: _Optional[_Union[Image.ChecksumAlgorithm, str]] = ..., os_type: _Optional[str] = ..., architecture: _Optional[str] = ..., tags: _Optional[_Iterable[str]] = ..., description: _Optional[str] = ..., kind: _Optional[_Union[Image.Kind, str]] = ..., os_distro: _Optional[str] = ..., os_version: _Optional[str] = ..., boot_mode: _Optional[_Union[Image.BootMode, str]] = ..., hidden: _Optional[bool] = ..., source: _Optional[_Union[Image.Source, _Mapping]] = ..., stores: _Optional[_Iterable[str]] = ..., properties: _Optional[_Mapping[str, str]] = ..., progress_percent: _Optional[int] = ..., fault: _Optional[_Union[_common_pb2.Fault, _Mapping]] = ..., etag: _Optional[str] = ...) -> None: ...

class GetImageRequest(_message.Message):
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

class ListImagesRequest(_message.Message):
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

class ListImagesResponse(_message.Message):
    __slots__ = ("images", "next_page_token", "unreachable", "cluster_status")
    IMAGES_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    UNREACHABLE_FIELD_NUMBER: _ClassVar[int]
    CLUSTER_STATUS_FIELD_NUMBER: _ClassVar[int]
    images: _containers.RepeatedCompositeFieldContainer[Image]
    next_page_token: str
    unreachable: _containers.RepeatedScalarFieldContainer[str]
    cluster_status: _containers.RepeatedCompositeFieldContainer[_common_pb2.ClusterStatus]
    def __init__(self, images: _Optional[_Iterable[_Union[Image, _Mapping]]] = ..., next_page_token: _Optional[str] = ..., unreachable: _Optional[_Iterable[str]] = ..., cluster_status: _Optional[_Iterable[_Union[_common_pb2.ClusterStatus, _Mapping]]] = ...) -> None: ...
