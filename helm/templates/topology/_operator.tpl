{{/* Parts of the topology operator's resources. */}}

{{/* Dots of a broker name are legal in a Kubernetes name; the release keeps two installations apart. */}}
{{- define "darkroom.topology.metadata" -}}
name: {{ include "darkroom.fullname" .root }}-{{ .name }}
namespace: {{ .root.Release.Namespace }}
labels:
  {{- include "darkroom.labels" .root | nindent 2 }}
  app.kubernetes.io/component: topology
{{- end }}

{{/* The vhost and the broker it is on. */}}
{{- define "darkroom.topology.target" -}}
vhost: {{ .Values.broker.vhost }}
{{ include "darkroom.topology.cluster" . }}
{{- end }}

{{- define "darkroom.topology.cluster" -}}
rabbitmqClusterReference:
  {{- with .Values.topology.operator }}
  {{- if .connectionSecret }}
  connectionSecret: { name: {{ .connectionSecret }} }
  {{- else }}
  name: {{ .clusterName }}
  {{- with .clusterNamespace }}
  namespace: {{ . }}
  {{- end }}
  {{- end }}
  {{- end }}
{{- end }}

{{/*
The worker and KEDA's monitor, with the rights in helm/README.md. The admin is whoever the operator is.
The names in the broker come from the same secrets that the pods read.
*/}}
{{- define "darkroom.topology.users" -}}
{{- range $role, $rights := include "darkroom.broker.rights" . | fromYaml }}
---
apiVersion: rabbitmq.com/v1beta1
kind: User
metadata:
  {{- include "darkroom.topology.metadata" (dict "root" $ "name" $role) | nindent 2 }}
spec:
  {{- with $rights.tags }}
  tags: {{ toJson . }}
  {{- end }}
  importCredentialsSecret: { name: {{ include "darkroom.broker.secret" (dict "root" $ "role" $role) }} }
  deletionPolicy: retain
  {{- include "darkroom.topology.cluster" $ | nindent 2 }}
---
apiVersion: rabbitmq.com/v1beta1
kind: Permission
metadata:
  {{- include "darkroom.topology.metadata" (dict "root" $ "name" $role) | nindent 2 }}
spec:
  userReference: { name: {{ include "darkroom.fullname" $ }}-{{ $role }} }
  permissions:
    configure: {{ $rights.configure | quote }}
    write: {{ $rights.write | quote }}
    read: {{ $rights.read | quote }}
  {{- include "darkroom.topology.target" $ | nindent 2 }}
{{- end }}
{{- end }}

{{/* `90s`, `2m`, `1h` as milliseconds. */}}
{{- define "darkroom.milliseconds" -}}
{{- $units := dict "ms" 1 "s" 1000 "m" 60000 "h" 3600000 }}
{{- mul (regexFind "^[0-9]+" . | int) (get $units (regexFind "[a-z]+$" .)) }}
{{- end }}
