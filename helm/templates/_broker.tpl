{{/* Where the broker is: one of your own, or the release's demo broker. */}}

{{- define "darkroom.broker.url" -}}
{{- if .Values.demoBroker.enabled -}}
amqp://{{ include "darkroom.fullname" . }}-demo-broker.{{ .Release.Namespace }}.svc:5672
{{- else -}}
{{ .Values.broker.url }}
{{- end -}}
{{- end }}

{{- define "darkroom.broker.managementUrl" -}}
{{- if .Values.demoBroker.enabled -}}
http://{{ include "darkroom.fullname" . }}-demo-broker.{{ .Release.Namespace }}.svc:15672
{{- else -}}
{{ .Values.broker.managementUrl | trimSuffix "/" }}
{{- end -}}
{{- end }}

{{/* The secret with a role's username and password: (dict "root" $ "role" "worker") */}}
{{- define "darkroom.broker.secret" -}}
{{- if .root.Values.demoBroker.enabled -}}
{{ include "darkroom.fullname" .root }}-demo-{{ .role }}
{{- else -}}
{{ (index .root.Values.broker .role).existingSecret }}
{{- end -}}
{{- end }}

{{/* Whose word on where a task stands is believed beside the workers' own; the demo broker's admin has another name. */}}
{{- define "darkroom.broker.trustedUsers" -}}
{{- $users := .Values.broker.trustedUsers }}
{{- if .Values.demoBroker.enabled }}
  {{- $users = append $users "admin" | uniq }}
{{- end }}
{{- join "," $users }}
{{- end }}

{{/*
"true" where the job that declares the topology is a hook: before anything else, so that a refusal by the broker
stops the release. Where the release itself brings the broker or the secrets, the job is one of its objects instead.
A hook after the release would wait for ever under `helm --wait`: no worker and no ScaledObject is ready before
the queues are there, and Helm runs such hooks only when all are.
*/}}
{{- define "darkroom.topology.isHook" -}}
{{- if not (or .Values.demoBroker.enabled .Values.externalSecrets.enabled) }}true{{ end -}}
{{- end }}

{{/* The annotations of such a hook: (dict "root" $ "weight" "0"). */}}
{{- define "darkroom.topology.hook" -}}
{{- if include "darkroom.topology.isHook" .root -}}
helm.sh/hook: pre-install,pre-upgrade
helm.sh/hook-weight: {{ .weight | quote }}
# A failed job stays, for its log.
helm.sh/hook-delete-policy: before-hook-creation,hook-succeeded
{{- end -}}
{{- end }}

{{/*
What each user may do, as RabbitMQ's three patterns; the same as `darkroom rights` prints, which says why.
*/}}
{{- define "darkroom.broker.rights" -}}
worker:
  configure: '^$'
  write: '^(amq\.default|{{ .Values.broker.prefix }}\.(dead|events|retry\..+))$'
  read: '^{{ .Values.broker.prefix }}\.(?!(dead|events)$)[a-z][a-z0-9-]*$'
monitor:
  tags: [management]
  configure: '^$'
  write: '^{{ .Values.broker.prefix }}\.(?!(dead|events)$)[a-z][a-z0-9-]*$'
  read: '^$'
{{- end }}
