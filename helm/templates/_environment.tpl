{{/* The environment that every Darkroom process of the release shares, and the files its secrets lie in. */}}

{{/* YAML map of variables. Secrets never stand here: they are files. */}}
{{- define "darkroom.environment" -}}
AMQP_URL: {{ printf "%s/%s" (include "darkroom.broker.url" . | trimSuffix "/") (.Values.broker.vhost | urlquery) | quote }}
AMQP_AUTH: {{ .Values.broker.auth | quote }}
AMQP_HEARTBEAT: {{ printf "%ds" (int .Values.broker.heartbeat) | quote }}
{{- if eq .Values.broker.auth "plain" }}
AMQP_USERNAME_FILE: /etc/darkroom/broker/username
AMQP_PASSWORD_FILE: /etc/darkroom/broker/password
{{- end }}
{{- if .Values.broker.tls.existingSecret }}
AMQP_CA_FILE: /etc/darkroom/tls/ca.crt
{{- if .Values.broker.tls.clientCertificate }}
AMQP_CERT_FILE: /etc/darkroom/tls/tls.crt
AMQP_KEY_FILE: /etc/darkroom/tls/tls.key
{{- end }}
{{- end }}
AMQP_MANAGEMENT_URL: {{ include "darkroom.broker.managementUrl" . | quote }}
DARKROOM_PREFIX: {{ .Values.broker.prefix | quote }}
{{- with include "darkroom.broker.trustedUsers" . }}
TRUSTED_USERS: {{ . | quote }}
{{- end }}
REPLY_QUEUES: {{ join "," .Values.broker.replyQueues | quote }}
STORAGE_URL: {{ .Values.storage.url | quote }}
STORAGE_REQUIRE_CONDITIONAL_WRITES: {{ .Values.storage.requireConditionalWrites | quote }}
{{- with .Values.storage.buckets }}
STORAGE_BUCKETS: {{ join "," . | quote }}
{{- end }}
HTTP_PORT: "9090"
RETRY_DELAYS: {{ join "," .Values.broker.retryDelays | quote }}
DELIVERY_LIMIT: {{ int .Values.broker.deliveryLimit | quote }}
CHILD_MAX_TASKS: {{ int .Values.child.maxTasks | quote }}
CHILD_MAX_MEMORY: {{ .Values.child.maxMemory | quote }}
LIMIT_INPUT_BYTES: {{ .Values.limits.inputBytes | quote }}
LIMIT_PIXELS: {{ int .Values.limits.pixels | quote }}
LIMIT_FRAMES: {{ int .Values.limits.frames | quote }}
LIMIT_OUTPUT_PIXELS: {{ int .Values.limits.outputPixels | quote }}
ALLOW_SVG: {{ .Values.limits.allowSvg | quote }}
INPUT_HTTPS: {{ .Values.httpsInputs.enabled | quote }}
{{- with .Values.httpsInputs.hosts }}
INPUT_HTTPS_HOSTS: {{ join "," . | quote }}
{{- end }}
LOG_LEVEL: {{ .Values.logLevel | quote }}
{{- with .Values.otlpEndpoint }}
OTEL_EXPORTER_OTLP_ENDPOINT: {{ . | quote }}
{{- end }}
{{- end }}

{{/* The variables that differ by function, as a list. */}}
{{- define "darkroom.function.environment" -}}
- { name: FUNCTION, value: {{ .name | quote }} }
- { name: SLOTS, value: {{ int .function.slots | quote }} }
- { name: CARRY, value: {{ .function.carry | quote }} }
- { name: TASK_TIMEOUT, value: {{ printf "%ds" (int .function.timeouts.task) | quote }} }
- { name: DRAIN_TIMEOUT, value: {{ printf "%ds" (int .function.timeouts.drain) | quote }} }
- { name: TERMINATION_GRACE_PERIOD, value: {{ printf "%ds" (int .function.timeouts.grace) | quote }} }
- { name: KEDA_COOLDOWN, value: {{ printf "%ds" (int .function.scaling.cooldownPeriod) | quote }} }
- { name: CONSUMER_TIMEOUT, value: {{ printf "%ds" (int .function.timeouts.consumer) | quote }} }
- { name: POD_DELETION_COST, value: {{ .function.deletionCost | quote }} }
- name: POD_NAME
  valueFrom: { fieldRef: { fieldPath: metadata.name } }
- name: POD_NAMESPACE
  valueFrom: { fieldRef: { fieldPath: metadata.namespace } }
{{- range $key, $value := .function.env }}
- { name: {{ $key }}, value: {{ $value | quote }} }
{{- end }}
{{- with .function.extraEnv }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* Scratch space, secrets and the shared images as volumes: (dict "root" $ "role" "worker" "tmpSizeLimit" "512Mi" "images" true) */}}
{{- define "darkroom.volumes" -}}
- name: tmp
  emptyDir: { sizeLimit: {{ .tmpSizeLimit }} }
{{- if eq .root.Values.broker.auth "plain" }}
{{- $credentials := index .root.Values.broker .role }}
- name: broker
  secret:
    secretName: {{ include "darkroom.broker.secret" . }}
    # Group-readable: files of a secret belong to root, the process to the pod's group.
    defaultMode: 0440
    items:
      - { key: {{ $credentials.usernameKey }}, path: username }
      - { key: {{ $credentials.passwordKey }}, path: password }
{{- end }}
{{- with .root.Values.broker.tls }}
{{- if .existingSecret }}
- name: tls
  secret:
    secretName: {{ .existingSecret }}
    defaultMode: 0440
    items:
      - { key: {{ .caKey }}, path: ca.crt }
      {{- if .clientCertificate }}
      - { key: {{ .certKey }}, path: tls.crt }
      - { key: {{ .keyKey }}, path: tls.key }
      {{- end }}
{{- end }}
{{- end }}
{{- if and .images .root.Values.storage.volume.enabled }}
- name: data
  persistentVolumeClaim: { claimName: {{ include "darkroom.storage.claim" .root }} }
{{- end }}
{{- end }}

{{- define "darkroom.volumeMounts" -}}
- { name: tmp, mountPath: /tmp }
{{- if eq .root.Values.broker.auth "plain" }}
- { name: broker, mountPath: /etc/darkroom/broker, readOnly: true }
{{- end }}
{{- if .root.Values.broker.tls.existingSecret }}
- { name: tls, mountPath: /etc/darkroom/tls, readOnly: true }
{{- end }}
{{- if and .images .root.Values.storage.volume.enabled }}
- { name: data, mountPath: /data }
{{- end }}
{{- end }}

{{- define "darkroom.storage.claim" -}}
{{ .Values.storage.volume.existingClaim | default (printf "%s-data" (include "darkroom.fullname" .)) }}
{{- end }}
