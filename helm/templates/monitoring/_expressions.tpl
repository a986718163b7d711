{{/* Label matchers that rules and dashboard share. */}}

{{/* RabbitMQ's own metrics, from its /metrics/detailed, of this vhost. */}}
{{- define "darkroom.rabbitmq.matchers" -}}
vhost="{{ .Values.broker.vhost }}"{{ with .Values.monitoring.rules.rabbitmqSelector }}, {{ . }}{{ end }}
{{- end }}

{{/* The work queues of this release, as a regular expression. */}}
{{- define "darkroom.rabbitmq.queues" -}}
{{ .Values.broker.prefix }}[.]({{ keys (include "darkroom.functions" . | fromYaml) | sortAlpha | join "|" }})
{{- end }}
