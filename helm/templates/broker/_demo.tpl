{{- define "darkroom.demoBroker.selectorLabels" -}}
{{ include "darkroom.selectorLabels" . }}
app.kubernetes.io/component: demo-broker
{{- end }}

{{/* Users and rights that the demo broker starts with: RabbitMQ's definitions file. */}}
{{- define "darkroom.demoBroker.definitions" -}}
{{- $password := .Values.demoBroker.password }}
{{- $vhost := .Values.broker.vhost }}
{{- $users := list (dict "name" "admin" "password" $password "tags" (list "administrator")) }}
{{- $permissions := list (dict "user" "admin" "vhost" $vhost "configure" ".*" "write" ".*" "read" ".*") }}
{{- range $role, $rights := include "darkroom.broker.rights" . | fromYaml }}
  {{- $users = append $users (dict "name" $role "password" $password "tags" ($rights.tags | default list)) }}
  {{- $permissions = append $permissions (merge (dict "user" $role "vhost" $vhost) (omit $rights "tags")) }}
{{- end }}
{{- dict "vhosts" (list (dict "name" $vhost)) "users" $users "permissions" $permissions | toPrettyJson }}
{{- end }}
