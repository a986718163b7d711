{{/*
Pod of a Darkroom command that runs once with the admin's credentials, in the first function's image:
(dict "root" $ "component" "topology" "args" (list …) "resources" …)
*/}}
{{- define "darkroom.command.pod" -}}
{{- $function := get (include "darkroom.functions" .root | fromYaml) (include "darkroom.firstFunction" .root) }}
{{- $scope := dict "root" .root "role" "admin" "tmpSizeLimit" "64Mi" "images" (eq .component "smoke-test") }}
serviceAccountName: {{ include "darkroom.fullname" .root }}-{{ .component }}
automountServiceAccountToken: false
enableServiceLinks: false
restartPolicy: Never
{{- with .root.Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
securityContext:
  {{- toYaml .root.Values.podSecurityContext | nindent 2 }}
containers:
  - name: darkroom
    image: {{ include "darkroom.image" (dict "root" .root "image" $function.image) | quote }}
    imagePullPolicy: {{ $function.image.pullPolicy }}
    args:
      {{- toYaml .args | nindent 6 }}
    {{- with .root.Values.storage.existingSecret }}
    envFrom:
      - secretRef: { name: {{ . }} }
    {{- end }}
    env:
      {{- range $key, $value := include "darkroom.environment" .root | fromYaml }}
      - { name: {{ $key }}, value: {{ $value | quote }} }
      {{- end }}
    resources:
      {{- toYaml .resources | nindent 6 }}
    securityContext:
      {{- toYaml .root.Values.securityContext | nindent 6 }}
    volumeMounts:
      {{- include "darkroom.volumeMounts" $scope | nindent 6 }}
volumes:
  {{- include "darkroom.volumes" $scope | nindent 2 }}
{{- with $function.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with include "darkroom.function.tolerations" $function }}
tolerations:
  {{- . | nindent 2 }}
{{- end }}
{{- end }}
