import java.io.FileInputStream;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.KeyStore;
import java.security.cert.CertificateFactory;
import java.util.Collection;
import javax.net.ssl.TrustManagerFactory;
import javax.net.ssl.X509TrustManager;
import org.bouncycastle.cert.X509CertificateHolder;
import org.bouncycastle.est.CSRRequestResponse;
import org.bouncycastle.est.ESTService;
import org.bouncycastle.est.EnrollmentResponse;
import org.bouncycastle.est.jcajce.JcaHttpAuthBuilder;
import org.bouncycastle.est.jcajce.JsseESTServiceBuilder;
import org.bouncycastle.pkcs.PKCS10CertificationRequest;

/** Bouncy Castle's EST client: HOST:PORT LABEL CA-FILE USER SECRET CSR-FILE; prints what it got. */
public final class Enrolling {
    public static void main(String[] words) throws Exception {
        JsseESTServiceBuilder builder = new JsseESTServiceBuilder(words[0], trust(words[2]));
        builder.withHostNameAuthorizer((name, context) -> true);
        ESTService service = builder.withLabel(words[1]).build();
        for (Object each : service.getCACerts().getCertificateStore().getMatches(null)) {
            System.out.println("CA " + ((X509CertificateHolder) each).getSubject());
        }
        CSRRequestResponse attributes = service.getCSRAttributes();
        System.out.println("ATTRIBUTES " + attributes.getAttributesResponse().getRequirements().size());
        byte[] request = Files.readAllBytes(Path.of(words[5]));
        EnrollmentResponse answer = service.simpleEnroll(
            false,
            new PKCS10CertificationRequest(request),
            new JcaHttpAuthBuilder(words[3], words[4].toCharArray()).build());
        Collection<X509CertificateHolder> issued = answer.getStore().getMatches(null);
        for (X509CertificateHolder each : issued) {
            System.out.println("ISSUED " + each.getSubject());
        }
    }

    private static X509TrustManager trust(String file) throws Exception {
        KeyStore anchors = KeyStore.getInstance(KeyStore.getDefaultType());
        anchors.load(null, null);
        try (InputStream pem = new FileInputStream(file)) {
            anchors.setCertificateEntry(
                "anchor", CertificateFactory.getInstance("X.509").generateCertificate(pem));
        }
        TrustManagerFactory factory =
            TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
        factory.init(anchors);
        return (X509TrustManager) factory.getTrustManagers()[0];
    }
}
